"""Smooth maps of reference boxes into space, with their Jacobians, in NumPy.

All maps are frozen dataclasses of floats and of other maps, so that regions made of them are
hashable. A map takes reference points (n, k) to points (n, d).
"""

import abc
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

Vector: TypeAlias = tuple[float, ...]


class AbstractMap(abc.ABC):
    """A smooth map of reference points (n, k) to points (n, d).

    Where many cells follow one another along a reference axis, `string_axis` is that axis, and the
    map is smooth between its `breaks`.
    """

    string_axis: ClassVar[int | None] = None

    @abc.abstractmethod
    def __call__(self, xi: np.ndarray) -> np.ndarray:
        """The points (n, d)."""

    @abc.abstractmethod
    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        """The matrices dx_i / dxi_j at the points, (n, d, k)."""

    def inverse(self, points: np.ndarray) -> np.ndarray | None:
        """The reference points of the nearest images in closed form; None where there is none."""
        del points
        return None

    def breaks(self) -> np.ndarray:
        """The ends of the cells along the axis of the string."""
        return np.zeros(0)

    def extent(self, lower: np.ndarray, upper: np.ndarray) -> float:
        """The size of the image of a reference box, in which tolerances are measured."""
        return float(np.linalg.norm(np.diff(self(np.stack([lower, upper])), axis=0)))


@dataclass(frozen=True)
class Affine(AbstractMap):
    """xi -> origin + sum_j xi_j columns_j."""

    origin: Vector
    columns: tuple[Vector, ...]

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return np.asarray(self.origin) + xi @ self._matrix.T

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return np.tile(self._matrix, (len(xi), 1, 1))

    def inverse(self, points: np.ndarray) -> np.ndarray:
        return (points - np.asarray(self.origin)) @ np.linalg.pinv(self._matrix).T

    @property
    def _matrix(self) -> np.ndarray:
        return np.reshape(np.asarray(self.columns, float), (-1, len(self.origin))).T


@dataclass(frozen=True)
class Collapsed(AbstractMap):
    """The unit box onto a simplex: x = v_0 + sum_j p_j (v_j - v_{j-1}) with p_j = xi_1 ... xi_j.

    The coordinates of Duffy (1982): det J vanishes only on the face xi_1 = 0, which becomes the
    vertex v_0, and the like; a polynomial stays one, so that Gauss rules stay exact.
    """

    vertices: tuple[Vector, ...]

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return np.asarray(self.vertices[0]) + np.cumprod(xi, axis=1) @ self._edges

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return np.einsum("je,nji->nei", self._edges, collapsed_slopes(xi))

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Quotients p_j / p_{j-1}; where the simplex has collapsed any coordinate is good."""
        p = (points - np.asarray(self.vertices[0])) @ np.linalg.pinv(self._edges)
        before = np.concatenate([np.ones((len(p), 1)), p[:, :-1]], axis=1)
        return p / np.where(np.abs(before) > 1e-300, before, 1.0)

    @property
    def _edges(self) -> np.ndarray:
        return np.diff(np.asarray(self.vertices, float), axis=0)


def collapsed_slopes(xi: np.ndarray) -> np.ndarray:
    """d p_j / d xi_i of the products p_j = xi_1 ... xi_j at points (n, k): (n, k, k)."""
    k = xi.shape[1]
    slopes = np.zeros((len(xi), k, k))
    for i in range(k):
        others = xi.copy()
        others[:, i] = 1.0
        slopes[:, i:, i] = np.cumprod(others, axis=1)[:, i:]
    return slopes


@dataclass(frozen=True)
class Cap(AbstractMap):
    """[-pi/4, pi/4]^{d-1} onto the part of a sphere that is seen through one face of a cube.

    x = center + radius p / |p| with p_axis = sign and p_j = tan xi_j otherwise: equal angles along
    the middle lines, and in the plane an arc by its angle.
    """

    center: Vector
    radius: float
    axis: int
    sign: int

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        p = self._cube(xi)
        return np.asarray(self.center) + self.radius * p / np.linalg.norm(p, axis=1, keepdims=True)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        p, free = self._cube(xi), self._free
        length = np.linalg.norm(p, axis=1)[:, None, None]
        unit = p[:, :, None] / length
        slopes = np.zeros((len(xi), len(self.center), len(free)))
        slopes[:, free, range(len(free))] = 1 + np.tan(xi) ** 2
        return self.radius * (slopes - unit * np.sum(unit * slopes, axis=1, keepdims=True)) / length

    @property
    def _free(self) -> list[int]:
        return [j for j in range(len(self.center)) if j != self.axis]

    def _cube(self, xi: np.ndarray) -> np.ndarray:
        p = np.full((len(xi), len(self.center)), float(self.sign))
        p[:, self._free] = np.tan(xi)
        return p


@dataclass(frozen=True)
class Arc(AbstractMap):
    """The angle (n, 1) to center + radius (cos, sin)."""

    center: Vector
    radius: float

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        turned = np.concatenate([np.cos(xi), np.sin(xi)], axis=1)
        return np.asarray(self.center) + self.radius * turned

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return self.radius * np.stack([-np.sin(xi), np.cos(xi)], axis=1)


@dataclass(frozen=True)
class Ruled(AbstractMap):
    """(s, xi) -> (1 - s) inner(xi) + s outer(xi): straight lines between two surfaces."""

    inner: AbstractMap
    outer: AbstractMap

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        s, rest = xi[:, :1], xi[:, 1:]
        return (1 - s) * self.inner(rest) + s * self.outer(rest)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        s, rest = xi[:, :1, None], xi[:, 1:]
        along = (self.outer(rest) - self.inner(rest))[:, :, None]
        across = (1 - s) * self.inner.jacobian(rest) + s * self.outer.jacobian(rest)
        return np.concatenate([along, across], axis=2)


@dataclass(frozen=True)
class Chain(AbstractMap):
    """xi -> second(first(xi))."""

    first: AbstractMap
    second: AbstractMap

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return self.second(self.first(xi))

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return self.second.jacobian(self.first(xi)) @ self.first.jacobian(xi)


@dataclass(frozen=True)
class InTime(AbstractMap):
    """(t, xi) -> (t, space(xi))."""

    space: AbstractMap

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return np.concatenate([xi[:, :1], self.space(xi[:, 1:])], axis=1)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        inner = self.space.jacobian(xi[:, 1:])
        n, d, k = inner.shape
        whole = np.zeros((n, d + 1, k + 1))
        whole[:, 0, 0] = 1.0
        whole[:, 1:, 1:] = inner
        return whole

    def inverse(self, points: np.ndarray) -> np.ndarray | None:
        found = self.space.inverse(points[:, 1:])
        return None if found is None else np.concatenate([points[:, :1], found], axis=1)

    @property
    def string_axis(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The axis of the string in space, behind that of time."""
        return None if self.space.string_axis is None else 1 + self.space.string_axis

    def breaks(self) -> np.ndarray:
        return self.space.breaks()

    def extent(self, lower: np.ndarray, upper: np.ndarray) -> float:
        return float(np.hypot(upper[0] - lower[0], self.space.extent(lower[1:], upper[1:])))


def identity(dimension: int) -> Affine:
    """The map of a box to itself."""
    rows = tuple(tuple(float(i == j) for i in range(dimension)) for j in range(dimension))
    return Affine((0.0,) * dimension, rows)
