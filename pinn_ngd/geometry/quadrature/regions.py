"""Regions in pieces: the faces of a boundary, and the halves of a box or a face."""

from dataclasses import replace
from typing import TypeAlias

from ..domains import Boundary, Box, Face, Interval, Region, SpaceTime

Piece: TypeAlias = Interval | Box | SpaceTime | Face


def pieces(region: Region) -> tuple[Piece, ...]:
    """The faces of a boundary; of any other region, itself."""
    return region.faces if isinstance(region, Boundary) else (region,)


def halves(piece: Piece, axis: int) -> tuple[Piece, Piece]:
    """The lower and the upper half of a piece, cut in the middle of one of its free axes.

    Raises ValueError for the fixed axis of a face, or an axis that the space does not have.
    """
    if axis not in piece.free_axes:
        raise ValueError(
            f"`axis` = {axis} does not lie along {piece}: take one of {piece.free_axes}."
        )
    lower, upper = piece.corners
    middle = 0.5 * (lower[axis] + upper[axis])
    return (
        _with_bounds(piece, axis, lower[axis], middle),
        _with_bounds(piece, axis, middle, upper[axis]),
    )


def _with_bounds(piece: Piece, axis: int, a: float, b: float) -> Piece:
    if isinstance(piece, Interval):
        return Interval(a, b)
    if isinstance(piece, SpaceTime):
        if axis == 0:
            return replace(piece, time=Interval(a, b))
        space = _with_bounds(piece.space, axis - 1, a, b)
        assert isinstance(space, Interval | Box)
        return replace(piece, space=space)
    position = piece.free_axes.index(axis)
    lower, upper = list(piece.lower), list(piece.upper)
    lower[position], upper[position] = a, b
    if isinstance(piece, Box):
        return Box(lower, upper)
    return Face(piece.axis, piece.value, lower=lower, upper=upper, sign=piece.sign)
