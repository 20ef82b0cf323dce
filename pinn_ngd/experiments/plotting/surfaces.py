"""Solutions on surfaces in space, seen from two sides, and places along curves."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ...geometry.domains import Domain
from ...geometry.meshes import Mesh
from ...geometry.patches import Patch
from . import style as look
from .curved import triangles
from .fields import Shown, coordinate_names
from .panels import Panel, color_bar, rows_of, scale_of

if TYPE_CHECKING:
    import matplotlib.figure

ELEVATION = 20.0  # degrees
AZIMUTHS = {"from one side": -60.0, "from the other side": 120.0}
ROW_HEIGHT = 2.4  # inches
CURVE_POINTS = 401  # of every patch


def is_surface(domain: Domain) -> bool:
    """Whether a domain is a surface in space, which triangles can fill."""
    return domain.dimension == 3 and _has_sides(domain, 2)


def is_curve(domain: Domain) -> bool:
    """Whether a domain is a curve in the plane or in space, or several."""
    return domain.dimension > 1 and _has_sides(domain, 1)


def plot_on_surface(shown: Shown, domain: Domain) -> "matplotlib.figure.Figure":
    """Two views, one from each side, and a row with one scale of colors for every function."""
    points, cells = triangles(domain)
    fields, names = shown.at(points)
    rows = [
        row
        for i, named in enumerate(names)
        for row in rows_of({key: v[:, i] for key, v in fields.items()}, named, len(names) > 1)
    ]
    height = min(ROW_HEIGHT * len(rows), look.TALLEST)
    figure = look.new_figure(0.8 * look.FULL_WIDTH, height)
    table = figure.subplots(
        len(rows), len(AZIMUTHS), squeeze=False, subplot_kw={"projection": "3d"}
    )
    for axes, (panel, limits) in zip(table, rows, strict=True):
        _draw_row(figure, axes, panel, limits, points[cells], cells)
    for ax in table.ravel():
        _frame(ax, domain)
    for ax, title in zip(table[0], AZIMUTHS, strict=True):
        ax.set_title(title)
    return figure


def along_curve(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) of a curve, patch by patch, and (n,) how long the curve is up to each.

    Between two parts that do not touch stands a point that is not a number: a gap of the graph.
    """
    points, lengths, end = [], [], 0.0
    for line in _one_after_another([_line(piece) for piece in domain.pieces]):
        if points and not _touch(points[-1][-1], line[0]):
            points.append(np.full((1, domain.dimension), np.nan))
            lengths.append(np.asarray([end]))
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        points.append(line)
        lengths.append(end + np.concatenate([[0.0], np.cumsum(steps)]))
        end = lengths[-1][-1]
    return np.concatenate(points), np.concatenate(lengths)


def _line(piece: Any) -> np.ndarray:
    assert isinstance(piece, Patch)
    return piece.grid(CURVE_POINTS)


def _one_after_another(lines: list[np.ndarray]) -> list[np.ndarray]:
    """The lines in an order, and turned round, so that as many as possible touch the one before."""
    found, left = lines[:1], lines[1:]
    others = [end for line in left for end in (line[0], line[-1])]
    first = found[0]
    if not any(_touch(first[-1], x) for x in others) and any(_touch(first[0], x) for x in others):
        found = [first[::-1]]
    while left:
        end = found[-1][-1]
        starts = [i for i, line in enumerate(left) if _touch(end, line[0])]
        ends = [i for i, line in enumerate(left) if _touch(end, line[-1])]
        line = left.pop((starts + ends + [0])[0])
        found.append(line[::-1] if not starts and ends else line)
    return found


def _touch(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=0.0, atol=1e-9 * max(1.0, np.abs(a).max())))


def _has_sides(domain: Domain, number: int) -> bool:
    """Whether all pieces are patches with so many coordinates of their own, or a mesh of them."""
    drawable = all(isinstance(p, Patch) for p in domain.pieces) or (
        isinstance(domain, Mesh) and number == 2
    )
    return drawable and all(len(piece.free_axes) == number for piece in domain.pieces)


def _draw_row(
    figure: Any, axes: Any, panel: Panel, limits: Any, corners: np.ndarray, cells: np.ndarray
) -> None:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    scale, image = scale_of(panel, limits), None
    colors = panel.values[cells].mean(axis=1) / scale.factor
    for ax, azimuth in zip(axes, AZIMUTHS.values(), strict=True):
        image = Poly3DCollection(corners, cmap=scale.colormap, rasterized=True, linewidth=0.1)
        image.set_array(colors)
        image.set_clim(*scale.limits)
        ax.add_collection3d(image)
        image.set_edgecolor("face")  # without edges white lines shine through
        ax.view_init(ELEVATION, azimuth)
    bar = color_bar(figure, image, list(axes), scale, part=0.03, pad=0.1)
    bar.set_label(panel.title + scale.unit.replace("  ", "\n"))


def _frame(ax: Any, domain: Domain) -> None:
    """Axes to scale, with few ticks."""
    bounds = list(zip(domain.lower, domain.upper, strict=True))
    ax.set(xlim=bounds[0], ylim=bounds[1], zlim=bounds[2])
    sides = np.asarray([max(b - a, 1e-9) for a, b in bounds])
    ax.set_box_aspect(np.maximum(sides, 0.2 * sides.max()), zoom=0.88)
    names = coordinate_names(domain)
    ax.set(xlabel=names[0], ylabel=names[1], zlabel=names[2])
    ax.locator_params(nbins=3)
    ax.tick_params(pad=-2.0)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.labelpad = -6.0
