"""The boundary of a set: points near it, projected along the gradient of the distance."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..region import check_points
from .distances import AbstractDistance, InTimeDistance
from .estimated import AbstractInBox, Share, share_of_box

SHELL = 5e-3  # of the size of the set: half the thickness of the shell of points
STEPS = 30  # of Newton's method along the gradient
ON_IT = 1e-10  # of the size of the set
ASIDE = 1e-5  # of it: a step to either side of the boundary


def _near() -> float:
    """How far off a point of the boundary may lie, in units of the size of the set."""
    return max(1e-9, 10 * float(jnp.finfo(jnp.result_type(float)).eps))


@jax.tree_util.register_static
@dataclass(frozen=True)
class Edge(AbstractInBox):
    """The points of a box where a distance is zero, with outward unit normals.

    Uniform points of the shell |distance| < h |gradient| are moved along the gradient until the
    distance vanishes; the measure is the volume of the shell over 2 h. That is right to second
    order in h, h = 0.005 of the size of the set, and to first order at corners, which are rounded.
    """

    distance: AbstractDistance
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    size: float
    conditions: tuple[Callable[[np.ndarray], Any], ...] = ()

    @property
    def fills_space(self) -> bool:
        """No: it is a boundary, although its points are found in a box."""
        return False

    @cached_property
    def share(self) -> Share:
        """The share of the shell in the box."""
        return share_of_box(self.accepts, np.asarray(self.lower), np.asarray(self.upper))

    @property
    def measure(self) -> float:
        """The estimated length or area."""
        return self.share.value * self.reference_measure / (2 * SHELL * self.size)

    @property
    def measure_error(self) -> float:
        """The standard error of `measure`."""
        return self.share.error * self.reference_measure / (2 * SHELL * self.size)

    def accepts(self, points: np.ndarray) -> np.ndarray:
        slopes = np.linalg.norm(self.distance.gradient(points), axis=1)
        near = np.abs(self.distance(points)) < SHELL * self.size * slopes
        found, good = self._projected(points[near])
        for holds in self.conditions:
            good &= np.asarray([bool(holds(x)) for x in found], bool)
        near[near] = good
        return near

    def _projected(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points on the boundary, and which of them got there."""
        found = points.copy()
        for _ in range(STEPS):
            values, slopes = self.distance(found), self.distance.gradient(found)
            if np.all(np.abs(values) <= ON_IT * self.size):
                break
            length = np.maximum(np.sum(slopes**2, axis=1), 1e-300)
            found = found - (values / length)[:, None] * slopes
        good = np.abs(self.distance(found)) <= ON_IT * self.size
        return found, good & self._parts_sides(found)

    def _parts_sides(self, points: np.ndarray) -> np.ndarray:
        """Whether a small step inward leads into the set and one outward leaves it.

        Where two sets share a face the distance of their union or difference is zero on it, too,
        without being a boundary.
        """
        step = ASIDE * self.size * self._normals(points)
        return (self.distance(points - step) < 0) & (self.distance(points + step) > 0)

    def half(self, axis: int, a: float, b: float) -> "Edge":
        lower, upper = list(self.lower), list(self.upper)
        lower[axis], upper[axis] = a, b
        bounds = tuple(lower), tuple(upper)
        return Edge(self.distance, *bounds, self.size, self.conditions)

    def where(self, holds: Callable[[np.ndarray], Any]) -> "Edge":
        """The points (d,) of the boundary where a condition holds.

        Raises ValueError, when it is used, where it holds nowhere.
        """
        return Edge(self.distance, self.lower, self.upper, self.size, (*self.conditions, holds))

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        return np.where(self._on(points)[:, None], points, np.nan)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on the boundary, up to rounding."""
        check_points(points, self.dimension)
        flat = np.asarray(points, float).reshape(-1, self.dimension)
        return jnp.asarray(self._on(flat).reshape(points.shape[:-1]))

    def _on(self, points: np.ndarray) -> np.ndarray:
        inside = np.all((points >= self.lower) & (points <= self.upper), axis=1)
        near = inside & (np.abs(self.distance(points)) <= _near() * self.size)
        near[near] = self._parts_sides(points[near])
        for holds in self.conditions:
            near[near] = [bool(holds(x)) for x in points[near]]
        return near

    def normal_at(self, x: Float[Array | np.ndarray, " d"]) -> Float[Array, " d"]:
        """The outward unit normal at a point of the boundary; ValueError for another point."""
        if not bool(self.contains(x)):
            raise ValueError(f"`x` = {np.asarray(x)} lies on no boundary: it has no normal.")
        return jnp.asarray(self._normals(np.asarray(x, float)[None])[0])

    def placed(
        self, points: Array | np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, _ = self._projected(np.asarray(points, float))
        return found, weights * (self.measure / self.reference_measure), self._normals(found)

    def _normals(self, points: np.ndarray) -> np.ndarray:
        slopes = self.distance.gradient(points)
        return slopes / np.linalg.norm(slopes, axis=1, keepdims=True)

    def in_time(self, time: Any) -> "Edge":
        """The side of the cylinder over the set."""
        if self.conditions:
            raise ValueError("a part of a boundary makes no side: take `where` of the whole side.")
        lower, upper = (time.a, *self.lower), (time.b, *self.upper)
        return Edge(InTimeDistance(self.distance), lower, upper, self.size)
