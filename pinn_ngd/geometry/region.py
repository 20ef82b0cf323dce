"""What every region can say of itself, whatever its shape."""

import abc
import math
from collections.abc import Iterable
from typing import Any, SupportsFloat

import numpy as np
from jaxtyping import Array, Bool, Float


class AbstractRegion(abc.ABC):
    """A set of points (n, dimension) that quadrature rules can integrate over.

    A region is made of `pieces`, each the image of a reference box, or of a face of one, with the
    corners `corners` and the `free_axes` along which its points can move. For an interval, a box
    or a face the piece is the region, and the map is the identity.
    """

    @property
    @abc.abstractmethod
    def dimension(self) -> int:
        """Number of coordinates of a point."""

    @property
    @abc.abstractmethod
    def measure(self) -> float:
        """Length, area or volume: what the weights of a rule sum to."""

    @abc.abstractmethod
    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies in the closed region."""

    @property
    def pieces(self) -> "tuple[AbstractPiece, ...]":
        """The parts on which a rule is made one after the other."""
        assert isinstance(self, AbstractPiece)
        return (self,)

    @property
    def fills_space(self) -> bool:
        """Whether the region has as many dimensions as its points: no boundary, no surface."""
        return all(len(piece.free_axes) == self.dimension for piece in self.pieces)


class AbstractPiece(AbstractRegion):
    """The image of a reference box, or of a face of one."""

    @property
    @abc.abstractmethod
    def free_axes(self) -> tuple[int, ...]:
        """The axes of the reference box along which a point can move."""

    @property
    @abc.abstractmethod
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The lowest and the uppermost point of the reference box."""

    @property
    def reference_measure(self) -> float:
        """The measure of the reference box."""
        return self.measure

    @property
    def string_axis(self) -> int | None:
        """The reference axis along which cells of a mesh follow one another, if there is one."""
        return None

    def cuts(self, axis: int) -> np.ndarray:
        """The ends of a free reference axis, and between them the ends of the cells of a mesh."""
        lower, upper = self.corners
        return np.asarray([lower[axis], upper[axis]])

    @property
    def smooth_parts(self) -> int:
        """How many parts the piece has on which its map is smooth: 1, or the cells of a mesh."""
        return math.prod(len(self.cuts(axis)) - 1 for axis in self.free_axes)

    @property
    def axes_to_cut(self) -> tuple[int, ...]:
        """The reference axes along which points may be made denser in a part of the piece."""
        return self.free_axes

    @property
    def rejects(self) -> bool:
        """Whether the piece is a part of its reference box only, that of points it `accepts`."""
        return False

    @property
    def acceptance(self) -> float:
        """The share of the reference box that it accepts."""
        return 1.0

    def accepts(self, points: np.ndarray) -> np.ndarray:
        """Which points (n, k) of the reference box belong to the piece."""
        return np.ones(len(points), bool)

    @abc.abstractmethod
    def half(self, axis: int, a: float, b: float) -> "AbstractPiece":
        """The part of the piece over [a, b] of a free reference axis."""

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Points (n, d) of the piece in its reference box; not a number for other points."""
        return points

    def placed(
        self, points: Array | np.ndarray, weights: np.ndarray
    ) -> tuple[Array | np.ndarray, np.ndarray, np.ndarray | None]:
        """Reference points and weights in the space, and the unit normals where there are any."""
        return points, weights, None


class AbstractDomain(AbstractRegion):
    """A region with a bounding box, which networks and pictures are made for, and a boundary."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def extents(self) -> tuple[float, ...]:
        """Side lengths upper - lower, one for every axis."""
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def diameter(self) -> float:
        """Euclidean length of the diagonal of the bounding box."""
        return math.hypot(*self.extents)

    @property
    def volume(self) -> float:
        """The same as `measure`: the name for domains."""
        return self.measure

    @abc.abstractmethod
    def boundary(self) -> Any:
        """The boundary, a region of one dimension less."""

    def in_time(self, time: Any) -> Any:
        """The cylinder over a curved domain in pieces; `SpaceTime` asks for it."""
        raise NotImplementedError(f"{type(self).__name__} in {time}")

    def at_end(self, time: Any, sign: int) -> Any:
        """Bottom (sign -1) or top of that cylinder."""
        raise NotImplementedError(f"{type(self).__name__} in {time}, {sign}")


def as_floats(name: str, values: Iterable[SupportsFloat]) -> tuple[float, ...]:
    result = tuple(float(value) for value in values)
    if not all(math.isfinite(value) for value in result):
        raise ValueError(
            f"`{name}` = {result} is not finite: domains are bounded. "
            "Truncate the domain and give finite bounds."
        )
    return result


def check_bounds(lower: tuple[float, ...], upper: tuple[float, ...]) -> None:
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


def check_points(points: Float[Array | np.ndarray, "..."], dimension: int) -> None:
    if points.shape[-1:] != (dimension,):
        raise ValueError(
            f"`points` has shape {points.shape}, but the domain has dimension {dimension}. "
            f"Give points of shape (..., {dimension})."
        )
