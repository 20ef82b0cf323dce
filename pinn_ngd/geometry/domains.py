"""Domains as plain, hashable values: intervals, boxes, space-time cylinders and their faces.

Every domain is a frozen dataclass of Python floats, registered with JAX as a static (leafless)
PyTree: it can be a dictionary key, a static argument of `jax.jit`, or a field of an Equinox
module. `dimension` always counts the coordinates of a *point* of the region, so that a quadrature
rule on any region yields points (n, dimension); a face of the unit square therefore has dimension
2, and measure 1.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsFloat, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .faces import Boundary, Face
from .region import (
    AbstractDomain,
    AbstractPiece,
    AbstractRegion,
    as_floats,
    check_bounds,
    check_points,
)


class _Product(AbstractDomain, AbstractPiece):
    """What every product of intervals can say of itself from its `lower` and `upper` corners."""

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return len(self.lower)

    @property
    def measure(self) -> float:
        """Lebesgue measure, the product of the side lengths."""
        return math.prod(self.extents)

    @property
    def free_axes(self) -> tuple[int, ...]:
        """The axes along which a point of the region can move: all of them."""
        return tuple(range(self.dimension))

    @property
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(lower, upper), d entries each: the counterpart of `Face.corners`."""
        return self.lower, self.upper

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies in the closed domain.

        Raises ValueError if the last axis of `points` is not the dimension of the domain.
        """
        check_points(points, self.dimension)
        lower, upper = (np.asarray(bound, dtype=points.dtype) for bound in (self.lower, self.upper))
        return jnp.all((points >= lower) & (points <= upper), axis=-1)

    def boundary(self) -> Boundary:
        """The 2 d faces, ordered by axis, the lower one first. In one dimension: the two ends."""
        return Boundary(self._face(axis, sign) for axis in self.free_axes for sign in (-1, 1))

    def half(self, axis: int, a: float, b: float) -> "_Product":
        lower, upper = list(self.lower), list(self.upper)
        lower[axis], upper[axis] = a, b
        return self._with_corners(lower, upper)

    def _with_corners(self, lower: list[float], upper: list[float]) -> "_Product":
        return Box(lower, upper)

    def _face(self, axis: int, sign: int) -> Face:
        value = (self.lower if sign < 0 else self.upper)[axis]
        rest = [i for i in self.free_axes if i != axis]
        lower, upper = ([bound[i] for i in rest] for bound in (self.lower, self.upper))
        return Face(axis, value, lower=lower, upper=upper, sign=sign)


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Interval(_Product):
    """The closed interval [a, b]; its points have shape (1,).

    Raises ValueError unless a < b are finite.
    """

    a: float
    b: float

    def __init__(self, a: SupportsFloat, b: SupportsFloat):
        lower, upper = as_floats("a", (a,)), as_floats("b", (b,))
        check_bounds(lower, upper)
        object.__setattr__(self, "a", lower[0])
        object.__setattr__(self, "b", upper[0])

    @property
    def lower(self) -> tuple[float, ...]:
        """(a,)"""
        return (self.a,)

    @property
    def upper(self) -> tuple[float, ...]:
        """(b,)"""
        return (self.b,)

    def _with_corners(self, lower: list[float], upper: list[float]) -> "Interval":
        return Interval(*lower, *upper)


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Box(_Product):
    """The closed box [lower_1, upper_1] x ... x [lower_d, upper_d], d >= 1.

    Raises ValueError for no axis, bounds of different lengths, non-finite bounds, or an empty axis.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __init__(self, lower: Iterable[SupportsFloat], upper: Iterable[SupportsFloat]):
        lower, upper = as_floats("lower", lower), as_floats("upper", upper)
        if not lower:
            raise ValueError("`lower` is empty: a box has at least one axis. Give d >= 1 bounds.")
        check_bounds(lower, upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)


@jax.tree_util.register_static
@dataclass(frozen=True)
class SpaceTime(_Product):
    """The cylinder [t0, t1] x space. Coordinates x = (t, x_1, ..., x_d): time is FIRST.

    `space` is an interval, a box, or a curved domain such as `disk()`. Over these `initial`,
    `final` and `lateral` return faces; over a curved domain they return `Patches`.

    Raises TypeError unless `time` is an Interval and `space` a domain without time.
    """

    time: Interval
    space: AbstractDomain

    def __post_init__(self):
        is_space = isinstance(self.space, AbstractDomain) and not isinstance(self.space, SpaceTime)
        if not isinstance(self.time, Interval) or not is_space:
            raise TypeError(
                f"`time` = {self.time!r} and `space` = {self.space!r} make no cylinder. "
                "Give an Interval of times first, then an Interval, a Box or a curved domain."
            )
        if not self.space.fills_space:
            raise TypeError(
                "`space` is a curve or a surface, over which no cylinder is made: take a domain "
                "that fills its space."
            )

    @property
    def lower(self) -> tuple[float, ...]:
        """(t0, lower corner of space)"""
        return (*self.time.lower, *self.space.lower)

    @property
    def upper(self) -> tuple[float, ...]:
        """(t1, upper corner of space)"""
        return (*self.time.upper, *self.space.upper)

    @property
    def is_straight(self) -> bool:
        """Whether space is an interval or a box, so that the cylinder is a box."""
        return isinstance(self.space, _Product)

    @property
    def pieces(self) -> tuple[AbstractPiece, ...]:
        """The cylinder itself, or those over the patches of a curved domain."""
        return (self,) if self.is_straight else self.space.in_time(self.time).pieces

    @property
    def measure(self) -> float:
        """Duration times the measure of space."""
        return self.time.measure * self.space.measure

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies in the closed cylinder."""
        check_points(points, self.dimension)
        return self.time.contains(points[..., :1]) & self.space.contains(points[..., 1:])

    def boundary(self) -> Any:
        """Bottom, top and side."""
        if self.is_straight:
            return super().boundary()
        return self.initial().joined(self.lateral(), self.final())

    def initial(self) -> Any:
        """The bottom {t0} x space, where the initial value is given."""
        return self._end(-1)

    def final(self) -> Any:
        """The top {t1} x space."""
        return self._end(1)

    def lateral(self) -> Any:
        """[t0, t1] x (boundary of space), without bottom and top."""
        if not self.is_straight:
            return self.space.boundary().in_time(self.time)
        return Boundary(self._face(axis, sign) for axis in self.free_axes[1:] for sign in (-1, 1))

    def _end(self, sign: int) -> Any:
        return self._face(0, sign) if self.is_straight else self.space.at_end(self.time, sign)

    def _with_corners(self, lower: list[float], upper: list[float]) -> "SpaceTime":
        space = Box(lower[1:], upper[1:])
        if isinstance(self.space, Interval):
            space = Interval(*space.lower, *space.upper)
        return SpaceTime(Interval(lower[0], upper[0]), space)


Domain: TypeAlias = AbstractDomain
Region: TypeAlias = AbstractRegion
