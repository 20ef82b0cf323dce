"""Lagrange polynomials on segments, triangles and tetrahedra."""

import itertools
import math
from functools import lru_cache

import numpy as np

from ..patches.maps import collapsed_slopes
from .lobatto import lobatto_nodes


@lru_cache(maxsize=64)
def simplex_nodes(degree: int, dimension: int) -> np.ndarray:
    """Barycentric coordinates (k, dimension + 1) of the nodes of polynomials of a degree.

    Those on an edge are its Gauss-Lobatto points, as on the edges of boxes (Isaac 2020, recursively
    defined nodes).
    """
    return np.stack([_node(index) for index in _indices(degree, dimension)])


def simplex_lagrange(degree: int, unit: np.ndarray) -> np.ndarray:
    """Values and derivatives (n, k, 1 + d) at points (n, d) of the unit box of polynomials that are
    one at one node and zero at the others.

    The box is collapsed to the simplex: s_j = x_1 ... x_j, and v_0 + sum_j s_j (v_j - v_{j-1}) is
    the point.
    """
    d = unit.shape[1]
    s = np.concatenate([np.ones((len(unit), 1)), np.cumprod(unit, axis=1)], axis=1)
    barycentric = s - np.concatenate([s[:, 1:], np.zeros((len(unit), 1))], axis=1)
    values, slopes = _bernstein(degree, barycentric)
    in_s = slopes[:, :, 1:] - slopes[:, :, :-1]  # s_j is in coordinate j, and less in j - 1
    in_unit = np.einsum("nkj,nji->nki", in_s, collapsed_slopes(unit))
    found = np.concatenate([values[:, :, None], in_unit], axis=2)
    of_nodes = np.linalg.inv(_bernstein(degree, simplex_nodes(degree, d))[0])
    return np.einsum("nkj,kl->nlj", found, of_nodes)


@lru_cache(maxsize=64)
def _indices(degree: int, dimension: int) -> tuple[tuple[int, ...], ...]:
    """All multi-indices of dimension + 1 entries with the sum `degree`."""
    several = itertools.product(range(degree + 1), repeat=dimension)
    return tuple((degree - sum(index), *index) for index in several if sum(index) <= degree)


@lru_cache(maxsize=4096)
def _node(index: tuple[int, ...]) -> np.ndarray:
    """The node of a multi-index: the mean of those of its facets, nearer facets weighing more."""
    if len(index) == 1:
        return np.ones(1)
    line, found = np.asarray(lobatto_nodes(sum(index))), np.zeros(len(index))
    for i, entry in enumerate(index):
        weight = line[sum(index) - entry]
        if weight > 0:
            found += weight * np.insert(_node(index[:i] + index[i + 1 :]), i, 0.0)
    return found / found.sum()


def _bernstein(degree: int, barycentric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bernstein polynomials (n, k) and their derivatives (n, k, d + 1) in every coordinate."""
    indices = np.asarray(_indices(degree, barycentric.shape[1] - 1))
    factorials = np.asarray([math.prod(map(math.factorial, index)) for index in indices.tolist()])
    sizes = math.factorial(degree) / factorials
    powers = barycentric[:, None, :] ** indices
    lower = indices * barycentric[:, None, :] ** np.maximum(indices - 1, 0)
    slopes = np.empty_like(powers)
    for i in range(powers.shape[2]):
        slopes[:, :, i] = lower[:, :, i] * np.prod(np.delete(powers, i, axis=2), axis=2)
    return sizes * np.prod(powers, axis=2), sizes[:, None] * slopes
