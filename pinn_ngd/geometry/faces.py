"""Faces of boxes, and boundaries made of them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .region import AbstractPiece, AbstractRegion, as_floats, check_bounds, check_points


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Face(AbstractPiece):
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
        lower, upper = as_floats("lower", lower), as_floats("upper", upper)
        check_bounds(lower, upper)
        if not 0 <= axis <= len(lower):
            raise ValueError(
                f"`axis` = {axis} lies outside a space of {len(lower) + 1} dimensions. "
                f"Take one of 0, ..., {len(lower)}; `lower` and `upper` leave out the fixed axis."
            )
        if sign not in (-1, 1):
            raise ValueError(f"`sign` = {sign} is no orientation. Take +1 or -1.")
        fields = {"axis": axis, "value": as_floats("value", (value,))[0], "lower": lower}
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

    def half(self, axis: int, a: float, b: float) -> "Face":
        position = self.free_axes.index(axis)
        lower, upper = list(self.lower), list(self.upper)
        lower[position], upper[position] = a, b
        return Face(self.axis, self.value, lower=lower, upper=upper, sign=self.sign)

    def placed(
        self, points: Array | np.ndarray, weights: np.ndarray
    ) -> tuple[Array | np.ndarray, np.ndarray, np.ndarray]:
        """Points and weights as they are, with the one normal at all of them."""
        return points, weights, np.tile(np.asarray(self.normal), (len(weights), 1))

    @property
    def normal(self) -> tuple[float, ...]:
        """Outward unit normal, a tuple of d floats."""
        return tuple(float(self.sign) if i == self.axis else 0.0 for i in range(self.dimension))

    def embed(self, points: Float[Array | np.ndarray, "n k"]) -> Float[Array | np.ndarray, "n d"]:
        """Face coordinates (n, d - 1) to points (n, d) of the space.

        Raises ValueError if `points` does not have d - 1 columns.
        """
        check_points(points, self.dimension - 1)
        xp = jnp if isinstance(points, jax.Array) else np
        fixed = xp.full((points.shape[0], 1), self.value, dtype=points.dtype)
        return xp.concatenate([points[:, : self.axis], fixed, points[:, self.axis :]], axis=1)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on the closed face, exactly."""
        check_points(points, self.dimension)
        lower, upper = (np.asarray(corner, dtype=points.dtype) for corner in self.corners)
        return jnp.all((points >= lower) & (points <= upper), axis=-1)


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Boundary(AbstractRegion):
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
    def pieces(self) -> tuple[AbstractPiece, ...]:
        """The faces."""
        return self.faces

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
