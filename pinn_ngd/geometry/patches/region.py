"""Curved domains and their boundaries: unions of patches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..domains import Box, Interval
from ..faces import Face
from ..region import AbstractDomain, check_points
from .maps import identity
from .matching import check_fit, outer_faces
from .patch import Patch

BOX_POINTS = {1: 257, 2: 33, 3: 13}  # an axis, at which the bounding box is looked for
LARGEST_BOX = 5


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Patches(AbstractDomain):
    """A union of patches which overlap at most in their faces: a curved domain, or its boundary.

    `patches` are of class Patch, Box or Interval. Where the faces of two patches meet they must be
    the same set of points; the others make the boundary. `parts` names parts of the boundary, as
    {"inner": patches, ...}; without it there is none with a name.

    Raises ValueError without patches, or for patches of different dimensions.
    """

    patches: tuple[Patch, ...]
    parts: tuple[tuple[str, tuple[Patch, ...]], ...]

    def __init__(
        self,
        patches: Iterable[Any],
        *,
        parts: Mapping[str, Iterable[Patch]] | None = None,
    ):
        found = tuple(as_patch(patch) for patch in patches)
        kinds = {(patch.dimension, len(patch.free_axes)) for patch in found}
        if len(kinds) != 1:
            raise ValueError(
                f"`patches` have (coordinates, dimensions) {sorted(kinds)}: give at least one "
                "patch, and only patches of one dimension in one space."
            )
        object.__setattr__(self, "patches", found)
        named = tuple((name, tuple(faces)) for name, faces in (parts or {}).items())
        object.__setattr__(self, "parts", named)

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return self.patches[0].dimension

    @property
    def pieces(self) -> tuple[Patch, ...]:
        """The patches."""
        return self.patches

    @cached_property
    def measure(self) -> float:
        """Length, area or volume: the sum over the patches."""
        return float(np.sum([patch.measure for patch in self.patches]))

    @cached_property
    def lower(self) -> tuple[float, ...]:
        """The lower corner of the bounding box, as seen on a grid of every patch."""
        return tuple(self._extremes[0].tolist())

    @cached_property
    def upper(self) -> tuple[float, ...]:
        """The upper corner of that box."""
        return tuple(self._extremes[1].tolist())

    @cached_property
    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        n = BOX_POINTS.get(len(self.patches[0].free_axes), LARGEST_BOX)
        points = np.concatenate([patch.grid(n) for patch in self.patches])
        return points.min(axis=0), points.max(axis=0)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts of the boundary."""
        return tuple(name for name, _ in self.parts)

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on one of the patches, up to 1e-9 of their size."""
        check_points(points, self.dimension)
        inside = np.zeros(points.shape[:-1], bool)
        for patch in self.patches:
            left = ~inside
            found = patch.coordinates(np.asarray(points)[left])
            inside[left] = ~np.isnan(found[:, 0])
        return jnp.asarray(inside)

    def boundary(self, name: str | None = None) -> "Patches":
        """The whole boundary, or the part of it with that name (`names` are all there are).

        Raises ValueError for an unknown name, for a boundary, which has none itself, and where the
        faces of the patches do not fit together.
        """
        if name is None:
            return self._boundary
        if name not in self.names:
            known = f"take one of {', '.join(self.names)}" if self.names else "none has a name"
            raise ValueError(f"`name` = {name!r} is no part of this boundary: {known}.")
        return Patches(dict(self.parts)[name])

    @cached_property
    def _boundary(self) -> "Patches":
        if self.parts:
            return Patches(face for _, faces in self.parts for face in faces)
        if any(isinstance(patch.reference, Face) for patch in self.patches):
            raise ValueError("a closed surface, or the boundary of a domain, has no boundary.")
        faces = outer_faces(self.patches)
        check_fit(self.patches, faces)
        if not faces:
            raise ValueError("a closed curve or surface has no boundary.")
        return Patches(faces)

    def where(self, holds: Callable[[np.ndarray], Any]) -> "Patches":
        """The patches at whose center, a point (d,), the condition holds: a part of a boundary.

        Raises ValueError where it holds for none.
        """
        found = [patch for patch in self.patches if bool(holds(center(patch)))]
        if not found:
            raise ValueError("the condition holds at the center of no patch: nothing is left.")
        return Patches(found)

    def joined(self, *others: "Patches") -> "Patches":
        """The union with others which overlap this one at most in faces; names are not kept."""
        return Patches(patch for region in (self, *others) for patch in region.patches)

    def normal_at(self, x: Float[Array | np.ndarray, " d"]) -> Float[Array, " d"]:
        """The unit normal at a point of a boundary or surface: outward, on that of a domain.

        In a compiled function take the normals that come with the points, as `fn(u, x, normal)`.
        Raises ValueError for a traced point, a point elsewhere, and inside a domain.
        """
        point = _concrete(x)
        for patch in self.patches:
            xi = patch.coordinates(point[None])
            if not np.isnan(xi).any() and (normals := patch.normals(xi)) is not None:
                return jnp.asarray(normals[0])
        raise ValueError(f"`x` = {point} lies on no boundary or surface: it has no normal.")

    def in_time(self, time: Interval) -> "Patches":
        return Patches(patch.in_time(time) for patch in self.patches)

    def at_end(self, time: Interval, sign: int) -> "Patches":
        return Patches(patch.at_end(time, sign) for patch in self.patches)


def as_patch(piece: Any) -> Patch:
    """A patch, an interval or a box as a patch; TypeError for anything else."""
    if isinstance(piece, Patch):
        return piece
    if not isinstance(piece, Interval | Box):
        raise TypeError(
            f"`patches` hold a {type(piece).__name__}: give patches, boxes and intervals."
        )
    return Patch(identity(piece.dimension), piece)


def _concrete(x: Any) -> np.ndarray:
    try:
        return np.asarray(x, float)
    except jax.errors.TracerArrayConversionError as error:
        raise ValueError(
            "`x` is traced, and the normal of a curved boundary is not found from it: write the "
            "residual as fn(u, x, normal)."
        ) from error


def center(patch: Patch) -> np.ndarray:
    """The image (d,) of the middle of the reference."""
    return patch.map(np.mean(np.asarray(patch.corners, float), axis=0)[None])[0]


def named(patches: Iterable[Patch], name: Callable[[np.ndarray], str]) -> Patches:
    """The domain of these patches, every face of its boundary named by its center (d,)."""
    patches = tuple(patches)
    parts: dict[str, list[Patch]] = {}
    for face in outer_faces(patches):
        parts.setdefault(name(center(face)), []).append(face)
    return Patches(patches, parts=dict(sorted(parts.items(), key=lambda item: _order(item[0]))))


def _order(name: str) -> tuple[str, int]:
    """The order of names: "edge 10" behind "edge 9"."""
    word, _, number = name.partition(" ")
    return word, int(number or 0)
