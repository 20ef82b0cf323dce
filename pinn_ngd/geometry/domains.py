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
from typing import SupportsFloat, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def _floats(name: str, values: Iterable[SupportsFloat]) -> tuple[float, ...]:
    result = tuple(float(value) for value in values)
    if not all(math.isfinite(value) for value in result):
        raise ValueError(
            f"`{name}` = {result} is not finite: domains are bounded. "
            "Truncate the domain and give finite bounds."
        )
    return result


def _check_bounds(lower: tuple[float, ...], upper: tuple[float, ...]) -> None:
    if len(lower) != len(upper):
        raise ValueError(
            f"`lower` has {len(lower)} entries and `upper` has {len(upper)}: dimensions differ. "
            "Give one lower and one upper bound for every axis."
        )
    for axis, (a, b) in enumerate(zip(lower, upper, strict=True)):
        if a >= b:
            raise ValueError(
                f"`lower` = {a} is not below `upper` = {b} on axis {axis}: the interval is empty. "
                "Give bounds with lower < upper (perhaps they are swapped)."
            )


class _Product:
    """What every product of intervals can say of itself from its `lower` and `upper` corners."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return len(self.lower)

    @property
    def extents(self) -> tuple[float, ...]:
        """Side lengths upper - lower, one for every axis."""
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def volume(self) -> float:
        """Lebesgue measure, the product of the side lengths."""
        return math.prod(self.extents)

    @property
    def measure(self) -> float:
        """The same as `volume`: the name which faces and boundaries share."""
        return self.volume

    @property
    def diameter(self) -> float:
        """Euclidean length of the diagonal."""
        return math.hypot(*self.extents)

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
        _check_points(points, self.dimension)
        lower, upper = (np.asarray(bound, dtype=points.dtype) for bound in (self.lower, self.upper))
        return jnp.all((points >= lower) & (points <= upper), axis=-1)

    def boundary(self) -> "Boundary":
        """The 2 d faces, ordered by axis, the lower one first. In one dimension: the two ends."""
        return Boundary(self._face(axis, sign) for axis in self.free_axes for sign in (-1, 1))

    def _face(self, axis: int, sign: int) -> "Face":
        value = (self.lower if sign < 0 else self.upper)[axis]
        rest = [i for i in self.free_axes if i != axis]
        lower, upper = ([bound[i] for i in rest] for bound in (self.lower, self.upper))
        return Face(axis, value, lower=lower, upper=upper, sign=sign)


def _check_points(points: Float[Array | np.ndarray, "..."], dimension: int) -> None:
    if points.shape[-1:] != (dimension,):
        raise ValueError(
            f"`points` has shape {points.shape}, but the domain has dimension {dimension}. "
            f"Give points of shape (..., {dimension})."
        )


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Interval(_Product):
    """The closed interval [a, b]; its points have shape (1,).

    Raises ValueError unless a < b are finite.
    """

    a: float
    b: float

    def __init__(self, a: SupportsFloat, b: SupportsFloat):
        lower, upper = _floats("a", (a,)), _floats("b", (b,))
        _check_bounds(lower, upper)
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


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Box(_Product):
    """The closed box [lower_1, upper_1] x ... x [lower_d, upper_d], d >= 1.

    Raises ValueError for no axis, bounds of different lengths, non-finite bounds, or an empty axis.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __init__(self, lower: Iterable[SupportsFloat], upper: Iterable[SupportsFloat]):
        lower, upper = _floats("lower", lower), _floats("upper", upper)
        if not lower:
            raise ValueError("`lower` is empty: a box has at least one axis. Give d >= 1 bounds.")
        _check_bounds(lower, upper)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)


@jax.tree_util.register_static
@dataclass(frozen=True)
class SpaceTime(_Product):
    """The cylinder [t0, t1] x space. Coordinates x = (t, x_1, ..., x_d): time is FIRST.

    Raises TypeError unless `time` is an Interval and `space` an Interval or a Box.
    """

    time: Interval
    space: Interval | Box

    def __post_init__(self):
        if not isinstance(self.time, Interval) or not isinstance(self.space, Interval | Box):
            raise TypeError(
                f"`time` = {self.time!r} and `space` = {self.space!r} make no cylinder. "
                "Give an Interval of times first, then an Interval or a Box of space."
            )

    @property
    def lower(self) -> tuple[float, ...]:
        """(t0, lower corner of space)"""
        return (*self.time.lower, *self.space.lower)

    @property
    def upper(self) -> tuple[float, ...]:
        """(t1, upper corner of space)"""
        return (*self.time.upper, *self.space.upper)

    def initial(self) -> "Face":
        """The bottom {t0} x space, where the initial value is given."""
        return self._face(0, -1)

    def final(self) -> "Face":
        """The top {t1} x space."""
        return self._face(0, 1)

    def lateral(self) -> "Boundary":
        """[t0, t1] x (boundary of space), without bottom and top."""
        return Boundary(self._face(axis, sign) for axis in self.free_axes[1:] for sign in (-1, 1))


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Face:
    """A face {x : x[axis] = value} of a box in d dimensions.

    `lower` and `upper` (d - 1 entries) bound the free coordinates in their order; `sign` = +1 or
    -1 says whether the outward normal is +e_axis or -e_axis. In one dimension a face is one
    point, with measure 1. Raises ValueError for bad bounds, an axis outside the space, or another
    sign.
    """

    axis: int
    value: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    sign: int

    def __init__(
        self,
        axis: int,
        value: SupportsFloat,
        *,
        lower: Iterable[SupportsFloat],
        upper: Iterable[SupportsFloat],
        sign: int,
    ):
        lower, upper = _floats("lower", lower), _floats("upper", upper)
        _check_bounds(lower, upper)
        if not 0 <= axis <= len(lower):
            raise ValueError(
                f"`axis` = {axis} lies outside a space of {len(lower) + 1} dimensions. "
                f"Take one of 0, ..., {len(lower)}; `lower` and `upper` leave out the fixed axis."
            )
        if sign not in (-1, 1):
            raise ValueError(f"`sign` = {sign} is no orientation. Take +1 or -1.")
        fields = {"axis": axis, "value": _floats("value", (value,))[0], "lower": lower}
        for name, field in {**fields, "upper": upper, "sign": sign}.items():
            object.__setattr__(self, name, field)

    @property
    def dimension(self) -> int:
        """Number d of coordinates of a point, one more than the face's own dimension."""
        return len(self.lower) + 1

    @property
    def free_axes(self) -> tuple[int, ...]:
        """The d - 1 axes along the face."""
        return tuple(i for i in range(self.dimension) if i != self.axis)

    @property
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The lowest and the uppermost point of the face, in the space: d entries each."""
        lower, upper = (
            (*bound[: self.axis], self.value, *bound[self.axis :])
            for bound in (self.lower, self.upper)
        )
        return lower, upper

    @property
    def measure(self) -> float:
        """Surface measure, the product of the side lengths (1 for a point)."""
        return math.prod((b - a for a, b in zip(self.lower, self.upper, strict=True)), start=1.0)

    @property
    def normal(self) -> tuple[float, ...]:
        """Outward unit normal, a tuple of d floats."""
        return tuple(float(self.sign) if i == self.axis else 0.0 for i in range(self.dimension))

    def embed(self, points: Float[Array | np.ndarray, "n k"]) -> Float[Array | np.ndarray, "n d"]:
        """Face coordinates (n, d - 1) to points (n, d) of the space.

        Raises ValueError if `points` does not have d - 1 columns.
        """
        _check_points(points, self.dimension - 1)
        xp = jnp if isinstance(points, jax.Array) else np
        fixed = xp.full((points.shape[0], 1), self.value, dtype=points.dtype)
        return xp.concatenate([points[:, : self.axis], fixed, points[:, self.axis :]], axis=1)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on the closed face, exactly."""
        _check_points(points, self.dimension)
        lower, upper = (np.asarray(corner, dtype=points.dtype) for corner in self.corners)
        return jnp.all((points >= lower) & (points <= upper), axis=-1)


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Boundary:
    """A union of faces which overlap at most in edges: the boundary of a box, or a part of it.

    `Boundary((domain.initial(), *domain.lateral().faces))` is the parabolic boundary of a cylinder.
    Raises ValueError for no face, or for faces in spaces of different dimensions.
    """

    faces: tuple[Face, ...]

    def __init__(self, faces: Iterable[Face]):
        faces = tuple(faces)
        if not faces:
            raise ValueError("`faces` is empty: nothing to integrate over. Give at least one face.")
        dimensions = sorted({face.dimension for face in faces})
        if len(dimensions) > 1:
            raise ValueError(
                f"`faces` lie in spaces of different dimensions {dimensions}. "
                "Put only faces of the same domain together."
            )
        object.__setattr__(self, "faces", faces)

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return self.faces[0].dimension

    @property
    def measure(self) -> float:
        """Surface measure, the sum over the faces."""
        return math.fsum(face.measure for face in self.faces)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on one of the closed faces, exactly."""
        return jnp.any(jnp.stack([face.contains(points) for face in self.faces]), axis=0)

    def normal_at(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Outward normal at the point x of the boundary: that of the face whose plane is nearest.

        In a corner, where the normal is not defined, the first of the faces is taken.
        """
        axes = np.asarray([face.axis for face in self.faces])
        values = np.asarray([face.value for face in self.faces], dtype=x.dtype)
        normals = jnp.asarray([face.normal for face in self.faces], dtype=x.dtype)
        return normals[jnp.argmin(jnp.abs(x[axes] - values))]


Domain: TypeAlias = Interval | Box | SpaceTime
Region: TypeAlias = Interval | Box | SpaceTime | Face | Boundary
