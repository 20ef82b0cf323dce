"""Domains by their names: disks, balls, annuli, ellipses, sectors, L-shapes, boxes with a hole."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ..domains import Box, Interval
from ..region import as_floats
from .maps import Affine, Arc, Cap, Chain, Ruled
from .patch import Patch
from .polygon import edge_names, polygon
from .region import Patches, named

CORE = math.sqrt(0.5)  # of the radius: how far the corners of the cube inside a ball reach


def ball(center: Iterable[SupportsFloat] = (0.0, 0.0, 0.0), radius: SupportsFloat = 1.0) -> Patches:
    """The ball in d >= 2 dimensions: a cube in its middle and 2 d patches around it ("outer").

    No patch is degenerate, so that Gauss points do not crowd at the center.
    """
    center, radius = _center(center), _positive("radius", radius)
    half = CORE * radius / math.sqrt(len(center))
    lower, upper = ([c + sign * half for c in center] for sign in (-1, 1))
    around = [
        Patch(Ruled(_cube_face(lower, upper, axis, sign), Cap(center, radius, axis, sign)), box)
        for axis, sign, box in _directions(len(center))
    ]
    return named([_box(lower, upper), *around], lambda _: "outer")


def disk(center: Iterable[SupportsFloat] = (0.0, 0.0), radius: SupportsFloat = 1.0) -> Patches:
    """The disk, in five patches; its boundary is "outer"."""
    return ball(center, radius)


def ellipse(
    center: Iterable[SupportsFloat], semi_axes: Iterable[SupportsFloat], angle: SupportsFloat = 0.0
) -> Patches:
    """The ellipse with two half axes, the first one turned by `angle` against the x-axis."""
    center = _center(center, 2)
    a, b = (_positive("semi_axes", length) for length in semi_axes)
    cos, sin = math.cos(float(angle)), math.sin(float(angle))
    stretch = Affine(center, ((a * cos, a * sin), (-b * sin, b * cos)))
    unit = disk()
    return named(
        [Patch(Chain(patch.map, stretch), patch.reference) for patch in unit.patches],
        lambda _: "outer",
    )


def annulus(
    center: Iterable[SupportsFloat] = (0.0, 0.0),
    inner: SupportsFloat = 0.5,
    outer: SupportsFloat = 1.0,
) -> Patches:
    """The points between two spheres, d >= 2; the parts of its boundary are "inner" and "outer".

    Raises ValueError unless 0 < inner < outer.
    """
    center = _center(center)
    inner, outer = _positive("inner", inner), _positive("outer", outer)
    if inner >= outer:
        raise ValueError(f"`inner` = {inner} is not below `outer` = {outer}: exchange the radii.")
    patches = [
        Patch(Ruled(Cap(center, inner, axis, sign), Cap(center, outer, axis, sign)), box)
        for axis, sign, box in _directions(len(center))
    ]
    middle = (inner + outer) / 2
    return named(patches, lambda x: "inner" if math.dist(x, center) < middle else "outer")


def sector(
    center: Iterable[SupportsFloat],
    radius: SupportsFloat,
    start: SupportsFloat,
    stop: SupportsFloat,
) -> Patches:
    """The sector of angles [start, stop] in radians: parts "arc", "start" and "stop".

    Raises ValueError unless start < stop < start + 2 pi.
    """
    center, radius = _center(center, 2), _positive("radius", radius)
    start, stop = as_floats("start", (start,))[0], as_floats("stop", (stop,))[0]
    if not 0 < stop - start < 2 * math.pi:
        raise ValueError(
            f"`start` = {start} and `stop` = {stop} bound no sector: give angles in radians with "
            "start < stop < start + 2 pi (the whole disk is `disk`)."
        )
    cuts = np.linspace(start, stop, math.ceil((stop - start) / (math.pi / 2) - 1e-9) + 1).tolist()
    point = Affine(center, ((0.0, 0.0),))
    patches = [
        Patch(Ruled(point, Arc(center, radius)), Box((0.0, a), (1.0, b)))
        for a, b in itertools.pairwise(cuts)
    ]

    def name(x: np.ndarray) -> str:
        if math.dist(x, center) > 0.75 * radius:
            return "arc"
        away = math.atan2(x[1] - center[1], x[0] - center[0]) - start
        return "start" if abs((away + math.pi) % (2 * math.pi) - math.pi) < 1e-6 else "stop"

    return named(patches, name)


def l_shape(center: Iterable[SupportsFloat] = (0.0, 0.0), size: SupportsFloat = 1.0) -> Patches:
    """Three squares of side `size` about the reentrant corner at `center`.

    The quadrant x > 0, y < 0 about the corner is missing. Edges are numbered counterclockwise from
    the one that runs to the right from the corner: "edge 0" and "edge 5" meet in it.
    """
    x, y = _center(center, 2)
    h = _positive("size", size)
    squares = [(x - h, y - h), (x - h, y), (x, y)]
    outline = [(0, 0), (h, 0), (h, h), (-h, h), (-h, -h), (0, -h)]
    vertices = np.asarray([(x + a, y + b) for a, b in outline])
    boxes = [_box((a, b), (a + h, b + h)) for a, b in squares]
    return named(boxes, edge_names(vertices))


def box_with_hole(box: Box, center: Iterable[SupportsFloat], radius: SupportsFloat) -> Patches:
    """A box without a ball inside: parts "hole" and "outer".

    Raises ValueError where the ball does not lie inside the box.
    """
    center, radius = _center(center, box.dimension), _positive("radius", radius)
    gaps = [min(c - a, b - c) for a, c, b in zip(box.lower, center, box.upper, strict=True)]
    if min(gaps) <= radius:
        raise ValueError(
            f"the hole about {center} with `radius` = {radius} does not lie inside {box}: move or "
            "shrink it."
        )
    near = min(min(gaps), 2 * radius)
    cuts = [_cuts(a, c, b, near) for a, c, b in zip(box.lower, center, box.upper, strict=True)]
    patches = []
    for cell in itertools.product(*(list(itertools.pairwise(line)) for line in cuts)):
        lower, upper = zip(*cell, strict=True)
        if all(a < c < b for a, c, b in zip(lower, center, upper, strict=True)):
            patches += [
                Patch(Ruled(Cap(center, radius, i, sign), _cube_face(lower, upper, i, sign)), ref)
                for i, sign, ref in _directions(len(center))
            ]
        else:
            patches.append(_box(lower, upper))
    return named(patches, lambda x: "hole" if math.dist(x, center) < 1.01 * radius else "outer")


def triangle(a: Any, b: Any, c: Any) -> Patches:
    """The triangle with these corners: "edge 0" from a to b, "edge 1" from b to c, "edge 2"."""
    return polygon([a, b, c])


def sphere(
    center: Iterable[SupportsFloat] = (0.0, 0.0, 0.0), radius: SupportsFloat = 1.0
) -> Patches:
    """The surface of a ball in d >= 2 dimensions, with outward normals; for d = 2 a circle."""
    return ball(center, radius).boundary()


def _cuts(a: float, c: float, b: float, near: float) -> list[float]:
    """Where a box is cut along an axis: about the hole, but not into slices."""
    left = a if c - a < 1.5 * near else c - near
    right = b if b - c < 1.5 * near else c + near
    return sorted({a, left, right, b})


def _directions(dimension: int) -> list[tuple[int, int, Box]]:
    """The 2 d directions from the center, with the reference (s, angles) of their patches."""
    angle = math.pi / 4
    box = Box((0.0, *(-angle,) * (dimension - 1)), (1.0, *(angle,) * (dimension - 1)))
    return [(axis, sign, box) for axis in range(dimension) for sign in (-1, 1)]


def _cube_face(lower: Sequence[Any], upper: Sequence[Any], axis: int, sign: int) -> Affine:
    """[-pi/4, pi/4]^{d-1} onto a face of a box."""
    middle = [(a + b) / 2 for a, b in zip(lower, upper, strict=True)]
    middle[axis] = (upper if sign > 0 else lower)[axis]
    free = [j for j in range(len(lower)) if j != axis]
    scale = 2 / math.pi
    columns = [
        tuple(scale * (upper[j] - lower[j]) if i == j else 0.0 for i in range(len(lower)))
        for j in free
    ]
    return Affine(tuple(middle), tuple(columns))


def _box(lower: Sequence[Any], upper: Sequence[Any]) -> Patch:
    size = [float(b - a) for a, b in zip(lower, upper, strict=True)]
    d = len(size)
    columns = tuple(tuple(size[j] if i == j else 0.0 for i in range(d)) for j in range(d))
    return Patch(Affine(tuple(float(a) for a in lower), columns), Box((0.0,) * d, (1.0,) * d))


def _center(center: Iterable[SupportsFloat], dimension: int | None = None) -> tuple[float, ...]:
    found = as_floats("center", center)
    wanted = len(found) >= 2 if dimension is None else len(found) == dimension
    if not wanted:
        what = "at least 2" if dimension is None else str(dimension)
        raise ValueError(f"`center` = {found} has {len(found)} coordinates: give {what}.")
    return found


def _positive(name: str, length: SupportsFloat) -> float:
    (value,) = as_floats(name, (length,))
    if value <= 0:
        raise ValueError(f"`{name}` = {value} is no length: give a number above zero.")
    return value


def curve(point: Callable[[Any], Any], start: SupportsFloat, stop: SupportsFloat) -> Patches:
    """The curve t -> point(t[0]) in the plane or in space, for t in [start, stop].

    `point` is a function of one reference point t of shape (1,), written with jax.numpy. The normal
    of a plane curve lies to the right of its direction.
    """
    return Patches([Patch(point, Interval(start, stop))])
