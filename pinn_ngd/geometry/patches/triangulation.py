"""Polygons with holes in triangles: bridges to the holes, ears, and flips of poor edges."""

import math
from typing import Any, TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, float]
Triangle: TypeAlias = tuple[Point, Point, Point]
FLIPS = 20  # rounds at most; each makes the smallest angles larger


def triangulated(loops: list[np.ndarray]) -> list[Triangle]:
    """Triangles between the vertices of an outline and of holes, none of them thinner than need be.

    The outline runs counterclockwise and holes clockwise. The first vertex of each triangle is the
    one with the largest angle.
    """
    triangles = _flipped(_ears(_bridged(loops)))
    return [_turned(triangle) for triangle in triangles]


def turn(a: Any, b: Any, c: Any) -> Any:
    """Twice the signed area of the triangle abc."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _bridged(loops: list[np.ndarray]) -> list[Point]:
    """One loop that runs to every hole and back along a bridge that meets no edge."""
    outline = [tuple(v) for v in loops[0].tolist()]
    holes = sorted(loops[1:], key=lambda hole: -float(hole[:, 0].max()))
    for hole in holes:
        others = [outline, *([tuple(v) for v in h.tolist()] for h in holes)]
        ring = [tuple(v) for v in hole.tolist()]
        pairs = ((i, j) for i in range(len(outline)) for j in range(len(ring)))
        near = sorted(pairs, key=lambda pair: math.dist(outline[pair[0]], ring[pair[1]]))
        free = (p for p in near if _is_free(outline, p[0], ring[p[1]], others))
        pair = next(free, None)
        if pair is None:
            raise ValueError("a hole lies inside of another one: leave the inner one out.")
        i, j = pair
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
            if max(turn(start, end, a) * turn(start, end, b),
                   turn(a, b, start) * turn(a, b, end)) <= 0:  # fmt: skip
                return False
    return True


def _in_corner(before: tuple, corner: tuple, after: tuple, x: tuple) -> bool:
    """Whether x is seen from a corner of a counterclockwise loop towards its inside."""
    left, right = turn(before, corner, x) > 0, turn(corner, after, x) > 0
    return (left and right) if turn(before, corner, after) > 0 else (left or right)


def _ears(loop: list[Point]) -> list[Triangle]:
    """Ears cut off one after the other, always the one with the largest smallest angle."""
    found, left = [], list(loop)
    while len(left) > 3:
        ears = [(i, _quality(*_corner(left, i))) for i in range(len(left)) if _is_ear(left, i)]
        if not ears:
            raise ValueError("the polygon has edges that touch: move its vertices apart.")
        i = max(ears, key=lambda ear: ear[1])[0]
        found.append(_corner(left, i))
        del left[i]
    return [*found, _corner(left, 1)]


def _corner(loop: list, i: int) -> Triangle:
    return loop[i - 1], loop[i], loop[(i + 1) % len(loop)]


def _is_ear(loop: list, i: int) -> bool:
    a, b, c = _corner(loop, i)
    if turn(a, b, c) <= 0:
        return False
    others = np.reshape([v for v in loop if v not in (a, b, c)], (-1, 2)).T
    inside = [turn(p, q, others) >= 0 for p, q in ((a, b), (b, c), (c, a))]
    return not np.any(np.all(inside, axis=0))


def _quality(a: tuple, b: tuple, c: tuple) -> float:
    """Area over the sum of squared sides: largest for equal sides."""
    return turn(a, b, c) / (math.dist(a, b) ** 2 + math.dist(b, c) ** 2 + math.dist(c, a) ** 2)


def _turned(triangle: Triangle) -> Triangle:
    """The triangle from the vertex opposite of its longest side on."""
    sides = [math.dist(triangle[i - 2], triangle[i - 1]) for i in range(3)]
    i = sides.index(max(sides))
    return triangle[i], triangle[(i + 1) % 3], triangle[(i + 2) % 3]


def _flipped(triangles: list[Triangle]) -> list[Triangle]:
    """The same with edges exchanged (Lawson 1977) where that makes the worse triangle better."""
    for _ in range(FLIPS):
        if not _flip_once(triangles):
            break
    return triangles


def _flip_once(triangles: list[Triangle]) -> bool:
    """Exchange the diagonals of pairs of triangles; whether there was one to exchange."""
    owners: dict[frozenset, list[int]] = {}
    for i, (a, b, c) in enumerate(triangles):
        for edge in ((a, b), (b, c), (c, a)):
            owners.setdefault(frozenset(edge), []).append(i)
    changed: set[int] = set()
    for edge, pair in owners.items():
        if len(pair) == 2 and not changed & set(pair):
            new = _exchanged(edge, triangles[pair[0]], triangles[pair[1]])
            if new is not None:
                triangles[pair[0]], triangles[pair[1]] = new
                changed |= set(pair)
    return bool(changed)


def _exchanged(edge: frozenset, one: Triangle, other: Triangle) -> tuple[Triangle, Triangle] | None:
    """The two triangles on the other diagonal of their quadrilateral, where these are better."""
    (a,) = set(one) - edge
    (c,) = set(other) - edge
    i = one.index(a)
    b, d = one[(i + 1) % 3], one[(i + 2) % 3]
    new: tuple[Triangle, Triangle] = (a, b, c), (a, c, d)
    worst = min(_quality(*one), _quality(*other))
    return new if min(_quality(*t) for t in new) > 1.0001 * worst else None
