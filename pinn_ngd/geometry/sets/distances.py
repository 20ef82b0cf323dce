"""Signed distances in NumPy: negative inside, zero on the boundary, with their gradients."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..patches.function_map import FunctionMap
from ..patches.polygon import check_loop, inside_loop

Vector = tuple[float, ...]


class AbstractDistance(abc.ABC):
    """A function of points (n, d), negative inside a set, and its gradient."""

    @abc.abstractmethod
    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The values (n,)."""

    @abc.abstractmethod
    def gradient(self, points: np.ndarray) -> np.ndarray:
        """The gradients (n, d), those of one side where there are two."""


@dataclass(frozen=True)
class BallDistance(AbstractDistance):
    """|x - center| - radius."""

    center: Vector
    radius: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - np.asarray(self.center), axis=1) - self.radius

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return _units(points - np.asarray(self.center))


@dataclass(frozen=True)
class BoxDistance(AbstractDistance):
    """The distance to the faces of a box inside, and to the box outside."""

    lower: Vector
    upper: Vector

    def __call__(self, points: np.ndarray) -> np.ndarray:
        gaps = self._gaps(points)[0]
        outer = np.linalg.norm(np.maximum(gaps, 0.0), axis=1)
        return outer + np.minimum(np.max(gaps, axis=1), 0.0)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        gaps, signs = self._gaps(points)
        nearest = np.eye(gaps.shape[1])[np.argmax(gaps, axis=1)]
        outside = np.max(gaps, axis=1, keepdims=True) > 0
        return signs * np.where(outside, _units(np.maximum(gaps, 0.0)), nearest)

    def _gaps(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far beyond the nearer face of every axis, and on which side of the middle."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        away = points - (lower + upper) / 2
        return np.abs(away) - (upper - lower) / 2, np.where(away < 0, -1.0, 1.0)


@dataclass(frozen=True)
class HalfSpaceDistance(AbstractDistance):
    """normal . (x - point), with a unit normal."""

    point: Vector
    normal: Vector

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return (points - np.asarray(self.point)) @ np.asarray(self.normal)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return np.tile(np.asarray(self.normal), (len(points), 1))


@dataclass(frozen=True)
class PolygonDistance(AbstractDistance):
    """The distance to the nearest edge of a polygon."""

    vertices: tuple[Vector, ...]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        away, _ = self._away(points)
        sign = np.where(inside_loop(self._loop, points), -1.0, 1.0)
        return sign * np.linalg.norm(away, axis=1)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        away, normals = self._away(points)
        across = np.sum(away * normals, axis=1, keepdims=True)
        length = np.linalg.norm(away, axis=1, keepdims=True)
        least = 1e-12 * np.ptp(self._loop)  # nearer than that it is on the edge
        beside = length > np.abs(across) * (1 + 1e-9) + least  # nearest to a vertex
        sign = np.where(inside_loop(self._loop, points), -1.0, 1.0)[:, None]
        return np.where(beside, sign * _units(away), normals)

    @cached_property
    def _loop(self) -> np.ndarray:
        return check_loop(self.vertices)

    def _away(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the nearest point of the edges to each point, and the outward normal there."""
        starts, ways = self._loop, np.roll(self._loop, -1, axis=0) - self._loop
        from_start = points[:, None] - starts
        t = np.clip(np.sum(from_start * ways, axis=2) / np.sum(ways**2, axis=1), 0.0, 1.0)
        away = from_start - t[:, :, None] * ways
        nearest = np.argmin(np.sum(away**2, axis=2), axis=1)
        normals = _units(np.stack([ways[:, 1], -ways[:, 0]], axis=1))
        return away[np.arange(len(points)), nearest], normals[nearest]


@dataclass(frozen=True)
class FunctionDistance(AbstractDistance):
    """A function of ONE point (d,), written with jax.numpy; JAX differentiates it."""

    function: Callable[[Any], Any]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        values = FunctionMap(self.function, "distance")(points)
        if values.shape[1] != 1:
            raise ValueError(
                f"`distance` returns {values.shape[1]} numbers at a point: return one, negative "
                "inside the set."
            )
        return values[:, 0]

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return FunctionMap(self.function, "distance").jacobian(points)[:, 0]


@dataclass(frozen=True)
class Largest(AbstractDistance):
    """max of the distances, each times its sign: an intersection of sets and complements."""

    parts: tuple[tuple[float, AbstractDistance], ...]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return np.max(self._values(points), axis=0)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        which = np.argmax(self._values(points), axis=0)
        found = np.empty_like(points)
        for i, (sign, part) in enumerate(self.parts):
            chosen = which == i
            found[chosen] = sign * part.gradient(points[chosen])
        return found

    def _values(self, points: np.ndarray) -> np.ndarray:
        return np.stack([sign * part(points) for sign, part in self.parts])


@dataclass(frozen=True)
class Negative(AbstractDistance):
    """The distance of the complement."""

    of: AbstractDistance

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return -self.of(points)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return -self.of.gradient(points)


@dataclass(frozen=True)
class InTimeDistance(AbstractDistance):
    """The distance in space at points (t, x)."""

    space: AbstractDistance

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return self.space(points[:, 1:])

    def gradient(self, points: np.ndarray) -> np.ndarray:
        found = self.space.gradient(points[:, 1:])
        return np.concatenate([np.zeros((len(points), 1)), found], axis=1)


def _units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
