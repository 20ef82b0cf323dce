"""Bottom and top of a cylinder over a set."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from ..region import AbstractPiece, check_points


@jax.tree_util.register_static
@dataclass(frozen=True)
class End(AbstractPiece):
    """The set {time} x space, with the normal along time."""

    space: Any
    time: float
    sign: int

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return 1 + self.space.dimension

    @property
    def free_axes(self) -> tuple[int, ...]:
        return tuple(range(1, self.dimension))

    @property
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (self.time, *self.space.lower), (self.time, *self.space.upper)

    @property
    def measure(self) -> float:
        """The estimated measure of space."""
        return self.space.measure

    @property
    def reference_measure(self) -> float:
        return self.space.reference_measure

    @property
    def acceptance(self) -> float:
        return self.space.acceptance

    @property
    def rejects(self) -> bool:
        return True

    def accepts(self, points: np.ndarray) -> np.ndarray:
        return self.space.accepts(points[:, 1:])

    def half(self, axis: int, a: float, b: float) -> "End":
        return End(self.space.half(axis - 1, a, b), self.time, self.sign)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        return np.where(np.asarray(self.contains(points))[:, None], points, np.nan)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies there."""
        check_points(points, self.dimension)
        return (points[..., 0] == self.time) & self.space.contains(points[..., 1:])

    def placed(
        self, points: Array | np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        normals = np.zeros((len(weights), self.dimension))
        normals[:, 0] = self.sign
        return np.asarray(points), weights * (self.measure / self.reference_measure), normals
