"""Regions in pieces: the faces of a boundary, the patches of a curved domain, halves of each."""

import itertools
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..domains import Region
from ..region import AbstractPiece
from .base import Quadrature, as_quadrature

Piece: TypeAlias = AbstractPiece


def pieces(region: Region) -> tuple[Piece, ...]:
    """The faces of a boundary, the patches of a curved domain; of any other region, itself."""
    return region.pieces


def halves(piece: Piece, axis: int) -> tuple[Piece, Piece]:
    """The lower and the upper half of a piece, cut in the middle of one of its free axes.

    Of a patch the reference box is cut. Raises ValueError for the fixed axis of a face, or an axis
    that the space does not have.
    """
    if axis not in piece.free_axes:
        raise ValueError(
            f"`axis` = {axis} does not lie along {piece}: take one of {piece.free_axes}."
        )
    lower, upper = piece.corners
    middle = 0.5 * (lower[axis] + upper[axis])
    return piece.half(axis, lower[axis], middle), piece.half(axis, middle, upper[axis])


STRANDS = 16  # a mesh is in so many parts at most where points begin to grow


def strands_of(piece: Piece) -> tuple[Piece, ...]:
    """A mesh in a few parts of about as many cells each; any other piece as it is."""
    axis = piece.string_axis
    if axis is None:
        return (piece,)
    cuts = piece.cuts(axis)
    count = min(STRANDS, len(cuts) - 1)
    ends = cuts[np.linspace(0, len(cuts) - 1, count + 1).round().astype(int)]
    return tuple(piece.half(axis, float(a), float(b)) for a, b in itertools.pairwise(ends))


def reference_axes(region: Region) -> int:
    """Number of coordinates of the reference boxes: a count of points is given for each."""
    return len(pieces(region)[0].corners[0])


def is_one_piece(region: Region) -> bool:
    """Whether a region is its only piece, which can be cut in two."""
    return isinstance(region, AbstractPiece) and pieces(region) == (region,)


def placed(
    parts: tuple[Piece, ...], sizes: list[int], points: Array | np.ndarray, weights: np.ndarray
) -> Quadrature:
    """Reference points and weights, those of each part behind one another, in the space."""
    xp = jnp if isinstance(points, jax.Array) else np
    ends = itertools.pairwise(itertools.accumulate(sizes, initial=0))
    blocks = zip(parts, ends, strict=True)
    found = [part.placed(points[a:b], weights[a:b]) for part, (a, b) in blocks]
    where, size, normals = zip(*found, strict=True)
    made = as_quadrature(xp.concatenate(where), np.concatenate(size))
    if any(normal is None for normal in normals):
        return made
    dtype = made.points.dtype
    return Quadrature(made.points, made.weights, jnp.asarray(np.concatenate(normals), dtype))
