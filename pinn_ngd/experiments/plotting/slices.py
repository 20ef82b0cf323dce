"""Solutions on many planes at once: snapshots of a plane, and the central planes of a body."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...geometry.domains import Domain, SpaceTime
from . import style as look
from .curved import is_box, is_plane, outside, triangles
from .fields import Shown, coordinate_names
from .panels import Panel, color_bar, draw_values, rows_of, scale_of

if TYPE_CHECKING:
    import matplotlib.figure

PLANE_POINTS = 161
SNAPSHOTS = 4
THIN = 3.0  # sides to one another: beyond, a slice is not drawn to scale


class Slice(NamedTuple):
    """Points (n, d) of a part of a plane, the shape of values there, and how it is drawn."""

    points: np.ndarray
    shape: tuple[int, ...]
    axes: tuple[int, int]
    title: str
    plane: Domain | None = None  # whose triangles fill it to the edge


def has_slices(domain: Domain) -> bool:
    """Whether a domain is drawn by several slices: a body, or a plane or a body in time."""
    return domain.dimension == 3 or (isinstance(domain, SpaceTime) and domain.dimension > 3)


def plot_slices(shown: Shown, domain: Domain) -> "matplotlib.figure.Figure":
    """A column for every slice, a row with one scale of colors for every function."""
    slices = _snapshots(domain) if isinstance(domain, SpaceTime) else _central_planes(domain)
    fields, names = shown.at(np.concatenate([part.points for part in slices]))
    if not is_box(domain):
        white = np.concatenate([_left_white(domain, part) for part in slices])
        fields = {key: np.where(white[:, None], np.nan, v) for key, v in fields.items()}
    rows = [
        row
        for i, named in enumerate(names)
        for row in rows_of({key: v[:, i] for key, v in fields.items()}, named, len(names) > 1)
    ]
    note = _note(domain)
    widths = [1 / _aspect(domain, part.axes) for part in slices]  # in heights of a row
    labels = 0.4 * len({part.axes for part in slices}) + 0.8
    height = len(rows) * ((look.FULL_WIDTH - labels) / sum(widths) + 0.15) + 0.6
    figure = look.new_figure(look.FULL_WIDTH, min(height + 0.2 * bool(note), look.TALLEST))
    table = figure.subplots(
        len(rows), len(slices), squeeze=False, sharex="col", sharey="col", width_ratios=widths
    )
    for axes, (panel, limits) in zip(table, rows, strict=True):
        _draw_row(figure, axes, panel, limits, slices, domain)
    _label(table, slices, domain)
    if note:
        figure.suptitle(note, fontsize=8.0)
    return figure


def middle_plane(
    domain: Domain, axes: tuple[int, int], at: dict[int, float] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Points (n^2, d) of the plane of two coordinates, and (n, n).

    Every other coordinate is what `at` says, and in the middle of the domain otherwise.
    """
    bounds = list(zip(domain.lower, domain.upper, strict=True))
    lines = [np.linspace(*bounds[i], PLANE_POINTS) for i in axes]
    found = np.tile([(a + b) / 2 for a, b in bounds], (PLANE_POINTS**2, 1))
    for i, value in (at or {}).items():
        found[:, i] = value
    found[:, axes] = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 2)
    return found, (PLANE_POINTS, PLANE_POINTS)


def _central_planes(domain: Domain) -> list[Slice]:
    """The planes of two coordinates through the middle of a body."""
    names, found = coordinate_names(domain), []
    for axes, rest in (((0, 1), 2), ((0, 2), 1), ((1, 2), 0)):
        middle = (domain.lower[rest] + domain.upper[rest]) / 2
        title = f"{names[rest]} = {look.in_plain_numbers(middle)}"
        found.append(Slice(*middle_plane(domain, axes), axes, title))
    return found


def _snapshots(domain: SpaceTime) -> list[Slice]:
    """The plane of the first two coordinates of space at some times, from first to last."""
    times = np.linspace(domain.lower[0], domain.upper[0], SNAPSHOTS)
    return [_snapshot(domain, float(t)) for t in times]


def _snapshot(domain: SpaceTime, t: float) -> Slice:
    title = f"$t$ = {look.in_plain_numbers(float(f'{t:.3g}'))}"
    if domain.dimension > 3 or not is_plane(domain.space):
        return Slice(*middle_plane(domain, (1, 2), {0: t}), (1, 2), title)
    points, _ = triangles(domain.space)
    points = np.concatenate([np.full((len(points), 1), t), points], axis=1)
    return Slice(points, (len(points),), (1, 2), title, domain.space)


def _left_white(domain: Domain, part: Slice) -> np.ndarray:
    if part.plane is not None:
        return np.zeros(len(part.points), bool)
    return outside(domain, part.points)


def _draw_row(
    figure: Any, axes: Any, panel: Panel, limits: Any, slices: list[Slice], domain: Domain
) -> None:
    scale = scale_of(panel, limits)
    ends = np.cumsum([len(part.points) for part in slices])[:-1]
    image = None
    for ax, part, values in zip(axes, slices, np.split(panel.values, ends), strict=True):
        image = draw_values(
            ax, values.reshape(part.shape), part.plane or domain, scale, axes=part.axes,
            smooth=is_box(domain),
        )  # fmt: skip
        look.hide_spines(ax)
        look.few_ticks(ax)
        ax.set_box_aspect(_aspect(domain, part.axes))
    bar = color_bar(figure, image, list(axes), scale, part=0.03)
    bar.set_label(panel.title + scale.unit.replace("  ", "\n"))


def _label(table: Any, slices: list[Slice], domain: Domain) -> None:
    """Titles above the first row, coordinates below the last one and at the left."""
    names = coordinate_names(domain)
    for column, part in enumerate(slices):
        table[0, column].set(title=part.title)
        table[-1, column].set(xlabel=names[part.axes[0]])
        repeated = column > 0 and part.axes == slices[column - 1].axes
        for ax in table[:, column]:
            ax.tick_params(bottom=ax is table[-1, column])
            ax.tick_params(left=not repeated, labelleft=not repeated)
            if not repeated:
                ax.set(ylabel=names[part.axes[1]])


def _note(domain: Domain) -> str:
    """What the coordinates of space that no snapshot shows are fixed at."""
    hidden = range(3, domain.dimension)
    names = coordinate_names(domain)
    values = [look.in_plain_numbers((domain.lower[i] + domain.upper[i]) / 2) for i in hidden]
    return ", ".join(f"{names[i]} = {value}" for i, value in zip(hidden, values, strict=True))


def _aspect(domain: Domain, axes: tuple[int, int]) -> float:
    """Height over width of a slice: true to scale, but for those too thin to see anything."""
    width, height = (domain.upper[i] - domain.lower[i] for i in axes)
    ratio = height / width
    return ratio if 1 / THIN <= ratio <= THIN else 0.5 if ratio < 1 else 1.6
