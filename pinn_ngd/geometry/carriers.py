"""The plane or quadric that a piece of a boundary lies on."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .quadrature import GaussLegendre
from .region import AbstractPiece

POINTS = 8  # an axis of a piece, at which its equation is fitted: more than a quadric has numbers


@jax.tree_util.register_static
@dataclass(frozen=True)
class Carrier:
    """f(x) = x^T A x + b.x + c, zero on a piece and positive on the side of the domain.

    Its gradient on the piece has length 1 on the average, so that f is about the distance.
    """

    quadratic: tuple[tuple[float, ...], ...]
    linear: tuple[float, ...]
    constant: float

    def __call__(self, x: Float[Array | np.ndarray, " d *n"]) -> Float[Array | np.ndarray, "*n"]:
        d = len(self.linear)
        value = self.constant + self.linear[0] * x[0]
        for i in range(1, d):
            value = value + self.linear[i] * x[i]
        for i in range(d):
            for j in range(d):
                if self.quadratic[i][j] != 0.0:
                    value = value + self.quadratic[i][j] * x[i] * x[j]
        return value

    @property
    def coefficients(self) -> np.ndarray:
        """All of them in one row."""
        return np.asarray([*np.ravel(self.quadratic), *self.linear, self.constant])

    @property
    def is_plane(self) -> bool:
        """Whether the quadric is a plane."""
        return not np.any(self.quadratic)


def carrier_of(piece: AbstractPiece) -> Carrier:
    """The plane, or else the quadric, through a piece of a boundary with outward normals.

    Raises ValueError where its points lie on neither, or where it has no normals.
    """
    rule = GaussLegendre(piece, POINTS).quadrature()
    points, normals = np.asarray(rule.points, float), rule.normals
    if normals is None:
        raise ValueError("`region` has no normals: give a boundary, or a part of one.")
    middle = points.mean(axis=0)
    size = float(np.max(np.abs(points - middle))) or 1.0
    y = (points - middle) / size
    for features in (_linear(y), _quadratic(y)):
        solution = _null_vector(features)
        if solution is not None:
            return _oriented(solution, middle, size, points, np.asarray(normals, float))
    raise ValueError(
        "a piece of this boundary lies on no plane and no quadric (sphere, ellipsoid): give a "
        "function of your own that is zero on it and positive inside."
    )


def negligible() -> float:
    """How far points may lie from a plane or quadric, in units of their piece: the digits that
    maps of JAX leave, 4e-10 in double precision and 7e-5 in single."""
    return float(jnp.finfo(jnp.result_type(float)).eps) ** 0.6


def _linear(y: np.ndarray) -> np.ndarray:
    return np.concatenate([y, np.ones((len(y), 1))], axis=1)


def _quadratic(y: np.ndarray) -> np.ndarray:
    rows, columns = np.triu_indices(y.shape[1])
    return np.concatenate([y[:, rows] * y[:, columns], _linear(y)], axis=1)


def _null_vector(features: np.ndarray) -> np.ndarray | None:
    """Coefficients of unit length that make all rows zero, if there are any."""
    _, s, vt = np.linalg.svd(features, full_matrices=True)
    smallest = s[-1] if len(s) == features.shape[1] else 0.0
    return vt[-1] if smallest <= negligible() * s[0] else None


def _oriented(
    solution: np.ndarray,
    middle: np.ndarray,
    size: float,
    points: np.ndarray,
    normals: np.ndarray,
) -> Carrier:
    """In the coordinates of space, positive against the normals, with a gradient of length 1."""
    d = len(middle)
    *quadratic, constant = solution
    b = np.asarray(quadratic[-d:])
    a = np.zeros((d, d))
    if len(quadratic) > d:
        rows, columns = np.triu_indices(d)
        a[rows, columns] = quadratic[:-d]
        a = (a + a.T) / 2
    a, b = a / size**2, b / size
    b, constant = b - 2 * a @ middle, constant - b @ middle + middle @ a @ middle
    slopes = -np.sum((2 * points @ a + b) * normals, axis=1)
    factor = 1.0 / float(slopes.mean())
    small = np.finfo(float).eps * 100 * np.max(np.abs(a), initial=0.0)
    a[np.abs(a) <= small] = 0.0
    return Carrier(
        tuple(map(tuple, (factor * a).tolist())), tuple((factor * b).tolist()), factor * constant
    )
