"""Polygons with holes, cut into triangles by clipping ears; simplices."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..domains import Box
from .maps import Collapsed
from .patch import Patch
from .region import Patches, named


def polygon(vertices: Any, holes: Sequence[Any] = ()) -> Patches:
    """The polygon with vertices (n, 2), in either direction, without the polygons `holes`.

    "edge i" runs from vertex i to vertex i + 1; the edges of the holes are counted on.

    Raises ValueError for fewer than three vertices, edges that meet elsewhere than in a vertex, and
    holes that do not lie inside.
    """
    loops = [_loop(vertices, 1), *(_loop(hole, -1) for hole in holes)]
    _check_simple(loops)
    for i, hole in enumerate(loops[1:]):
        if not _inside(loops[0], hole).all():
            raise ValueError(f"hole {i} does not lie inside the polygon: move or shrink it.")
    corners = [np.asarray(t) for t in _triangles(_bridged(loops))]
    box = Box((0.0, 0.0), (1.0, 1.0))
    patches = [Patch(Collapsed(_as_tuples(corner)), box) for corner in corners]
    given = [np.asarray(loop, float) for loop in (vertices, *holes)]
    return named(patches, edge_names(*given))


def simplex(vertices: Any) -> Patches:
    """The simplex with d + 1 vertices (d + 1, d); "face i" is the one opposite of vertex i.

    Raises ValueError for another number of vertices, or for vertices in one plane.
    """
    corners = np.asarray(vertices, float)
    if corners.ndim != 2 or len(corners) != corners.shape[1] + 1:
        raise ValueError(
            f"`vertices` have shape {corners.shape}: a simplex in d dimensions has d + 1 vertices "
            "(d + 1, d)."
        )
    edges = np.diff(corners, axis=0)
    if abs(np.linalg.det(edges)) <= 1e-13 * np.max(np.abs(edges)) ** len(edges):
        raise ValueError("`vertices` lie in one plane: move one of them.")
    d = len(edges)
    homogeneous = np.linalg.inv(np.vstack([corners.T, np.ones(d + 1)]))
    patch = Patch(Collapsed(_as_tuples(corners)), Box((0.0,) * d, (1.0,) * d))
    return named([patch], lambda x: f"face {int(np.argmin(homogeneous @ np.append(x, 1.0)))}")


def edge_names(*loops: np.ndarray) -> Callable[[np.ndarray], str]:
    """A function of a point: the name of the edge of a polygon that it lies on."""
    starts = np.concatenate(loops)
    ends = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])

    def name(x: np.ndarray) -> str:
        along = np.sum((x - starts) * (ends - starts), axis=1)
        t = np.clip(along / np.sum((ends - starts) ** 2, axis=1), 0, 1)
        gaps = np.linalg.norm(starts + t[:, None] * (ends - starts) - x, axis=1)
        return f"edge {int(np.argmin(gaps))}"

    return name


def _loop(vertices: Any, sign: int) -> np.ndarray:
    """Vertices in counterclockwise (sign 1) or clockwise order."""
    loop = np.asarray(vertices, float)
    if loop.ndim != 2 or loop.shape[1] != 2 or len(loop) < 3 or not np.isfinite(loop).all():
        raise ValueError(
            f"`vertices` have shape {loop.shape}: give at least three finite points (n, 2)."
        )
    if len(np.unique(loop, axis=0)) < len(loop):
        raise ValueError("`vertices` hold a point twice: leave one of them out.")
    x, y = loop.T
    area = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    return loop if sign * area > 0 else loop[::-1]


def _check_simple(loops: list[np.ndarray]) -> None:
    """ValueError where two edges meet that are not neighbors, or a vertex appears twice."""
    starts = np.concatenate(loops)
    ends = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
    for i in range(len(starts)):
        for j in range(i + 1, len(starts)):
            if _meet(starts[i], ends[i], starts[j], ends[j]):
                raise ValueError(
                    f"the polygon intersects itself: the edge from {starts[i]} to {ends[i]} meets "
                    f"that from {starts[j]} to {ends[j]}; put the vertices in order along it."
                )


def _meet(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether the segments ab and cd share more than the vertex between neighbors."""
    if np.array_equal(b, c) or np.array_equal(a, d):
        shared, other, third = (b, a, d) if np.array_equal(b, c) else (a, b, c)
        back = _turn(other, shared, third) == 0 and np.dot(other - shared, third - shared) > 0
        return bool(back) or (np.array_equal(b, c) and np.array_equal(a, d))
    turns = _turn(a, b, c) * _turn(a, b, d), _turn(c, d, a) * _turn(c, d, b)
    if max(turns) > 0:
        return False
    if _turn(a, b, c) == _turn(a, b, d) == 0:  # on one line: do they overlap?
        low, high = np.minimum(a, b), np.maximum(a, b)
        return bool(np.all(np.maximum(c, d) >= low) and np.all(np.minimum(c, d) <= high))
    return True


def _turn(a: Any, b: Any, c: Any) -> Any:
    """Twice the signed area of the triangle abc."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _inside(loop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points lie inside a loop, by the number of edges to their right."""
    x, y = points[:, :1], points[:, 1:]
    (x0, y0), (x1, y1) = loop.T, np.roll(loop, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return np.sum(crosses & (x < at), axis=1) % 2 == 1


def _bridged(loops: list[np.ndarray]) -> list[tuple[float, float]]:
    """One loop that runs to every hole and back along a bridge that meets no edge."""
    outline = [tuple(v) for v in loops[0].tolist()]
    holes = sorted(loops[1:], key=lambda hole: -float(hole[:, 0].max()))
    for hole in holes:
        others = [outline, *([tuple(v) for v in h.tolist()] for h in holes)]
        ring = [tuple(v) for v in hole.tolist()]
        pairs = ((i, j) for i in range(len(outline)) for j in range(len(ring)))
        near = sorted(pairs, key=lambda pair: math.dist(outline[pair[0]], ring[pair[1]]))
        i, j = next(p for p in near if _is_free(outline, p[0], ring[p[1]], others))
        outline = [*outline[: i + 1], *ring[j:], *ring[: j + 1], *outline[i:]]
    return outline


def _is_free(outline: list, i: int, end: tuple, loops: list) -> bool:
    """Whether the segment from outline[i] to `end` meets no edge but at its ends."""
    start = outline[i]
    before, after = outline[i - 1], outline[(i + 1) % len(outline)]
    if not _in_corner(before, start, after, end):
        return False
    for loop in loops:
        for a, b in zip(loop, [*loop[1:], loop[0]], strict=True):
            if start in (a, b) or end in (a, b):
                continue
            if max(_turn(start, end, a) * _turn(start, end, b),
                   _turn(a, b, start) * _turn(a, b, end)) <= 0:  # fmt: skip
                return False
    return True


def _in_corner(before: tuple, corner: tuple, after: tuple, x: tuple) -> bool:
    """Whether x is seen from a corner of a counterclockwise loop towards its inside."""
    left, right = _turn(before, corner, x) > 0, _turn(corner, after, x) > 0
    return (left and right) if _turn(before, corner, after) > 0 else (left or right)


def _triangles(loop: list[tuple[float, float]]) -> list[tuple]:
    """Ears cut off one after the other, always the one with the largest smallest angle."""
    found, left = [], list(loop)
    while len(left) > 3:
        ears = [(i, _quality(*_corner(left, i))) for i in range(len(left)) if _is_ear(left, i)]
        if not ears:
            raise ValueError("the polygon has edges that touch: move its vertices apart.")
        i = max(ears, key=lambda ear: ear[1])[0]
        found.append(_corner(left, i))
        del left[i]
    return [*found, tuple(left)]


def _corner(loop: list, i: int) -> tuple:
    return loop[i - 1], loop[i], loop[(i + 1) % len(loop)]


def _is_ear(loop: list, i: int) -> bool:
    a, b, c = _corner(loop, i)
    if _turn(a, b, c) <= 0:
        return False
    others = np.reshape([v for v in loop if v not in (a, b, c)], (-1, 2)).T
    inside = [_turn(p, q, others) >= 0 for p, q in ((a, b), (b, c), (c, a))]
    return not np.any(np.all(inside, axis=0))


def _quality(a: tuple, b: tuple, c: tuple) -> float:
    """Area over the sum of squared sides: largest for equal sides."""
    return _turn(a, b, c) / (math.dist(a, b) ** 2 + math.dist(b, c) ** 2 + math.dist(c, a) ** 2)


def _as_tuples(points: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(x) for x in point) for point in points)
