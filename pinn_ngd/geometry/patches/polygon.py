"""Polygons with holes, cut into triangles by clipping ears; simplices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..domains import Box
from .maps import Collapsed
from .patch import Patch
from .region import Patches, named
from .triangulation import triangulated, turn


def polygon(vertices: Any, holes: Sequence[Any] = ()) -> Patches:
    """The polygon with vertices (n, 2), in either direction, without the polygons `holes`.

    "edge i" runs from vertex i to vertex i + 1; the edges of the holes are counted on.

    Raises ValueError for fewer than three vertices, edges that meet elsewhere than in a vertex, and
    holes that do not lie inside.
    """
    loops = [_loop(vertices, 1), *(_loop(hole, -1) for hole in holes)]
    _check_simple(loops)
    for i, hole in enumerate(loops[1:]):
        if not inside_loop(loops[0], hole).all():
            raise ValueError(f"hole {i} does not lie inside the polygon: move or shrink it.")
    corners = [np.asarray(t) for t in triangulated(loops)]
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


def check_loop(vertices: Any) -> np.ndarray:
    """The vertices in counterclockwise order; ValueError where they make no polygon."""
    loop = _loop(vertices, 1)
    _check_simple([loop])
    return loop


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
        back = turn(other, shared, third) == 0 and np.dot(other - shared, third - shared) > 0
        return bool(back) or (np.array_equal(b, c) and np.array_equal(a, d))
    turns = turn(a, b, c) * turn(a, b, d), turn(c, d, a) * turn(c, d, b)
    if max(turns) > 0:
        return False
    if turn(a, b, c) == turn(a, b, d) == 0:  # on one line: do they overlap?
        low, high = np.minimum(a, b), np.maximum(a, b)
        return bool(np.all(np.maximum(c, d) >= low) and np.all(np.minimum(c, d) <= high))
    return True


def inside_loop(loop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points lie inside a loop, by the number of edges to their right."""
    x, y = points[:, :1], points[:, 1:]
    (x0, y0), (x1, y1) = loop.T, np.roll(loop, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return np.sum(crosses & (x < at), axis=1) % 2 == 1


def _as_tuples(points: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(x) for x in point) for point in points)
