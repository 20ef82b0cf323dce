"""Lagrange polynomials at Gauss-Lobatto points, on an interval and on boxes."""

import itertools
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre


@lru_cache(maxsize=64)
def lobatto_nodes(degree: int) -> tuple[float, ...]:
    """The degree + 1 Gauss-Lobatto points of [0, 1]: both ends, and the zeros of P'_degree."""
    slope = legendre.legder(np.eye(degree + 1)[degree])
    inside = np.sort(np.real(legendre.legroots(slope)))
    symmetric = (inside - inside[::-1]) / 2
    return tuple(float(x) for x in (np.concatenate([[-1.0], symmetric, [1.0]]) + 1) / 2)


def gauss(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights of [0, 1]."""
    nodes, weights = legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


def lagrange(degree: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives (n, degree + 1) at points (n,) of [0, 1] of the polynomials that are
    one at one Gauss-Lobatto point and zero at the others."""
    nodes = np.asarray(lobatto_nodes(degree))
    of_nodes = np.linalg.inv(legendre.legvander(2 * nodes - 1, degree))
    slopes = legendre.legder(np.eye(degree + 1), axis=0)
    values = legendre.legvander(2 * x - 1, degree)
    derivatives = 2 * legendre.legvander(2 * x - 1, max(degree - 1, 0)) @ slopes
    return values @ of_nodes, derivatives @ of_nodes


def tensor_lagrange(degree: int, points: np.ndarray) -> np.ndarray:
    """Values and gradients (n, (degree + 1)^d, 1 + d) of products of the polynomials above, at
    points (n, d) of the unit box, the last axis running fastest."""
    d = points.shape[1]
    lines = [lagrange(degree, points[:, i]) for i in range(d)]
    parts = [_product([lines[i][0] for i in range(d)])]
    for axis in range(d):
        parts.append(_product([lines[i][1 if i == axis else 0] for i in range(d)]))
    return np.stack(parts, axis=-1)


def tensor_points(line: np.ndarray, d: int) -> np.ndarray:
    """All points (n^d, d) with coordinates from a line (n,), the last axis running fastest."""
    return np.asarray(list(itertools.product(line, repeat=d)), float).reshape(-1, d)


def _product(factors: list[np.ndarray]) -> np.ndarray:
    out = np.ones((len(factors[0]), 1))
    for factor in factors:
        out = (out[:, :, None] * factor[:, None, :]).reshape(len(out), -1)
    return out
