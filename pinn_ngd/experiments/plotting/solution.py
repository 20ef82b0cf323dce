"""The trained solution beside the exact one, and the error."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...geometry.domains import Domain, SpaceTime
from . import style as look
from .curved import is_box, is_plane, outside, triangles
from .fields import Names, Shown, coordinate_names
from .panels import Panel, color_bar, draw_values, limits_of, scale_of, unit_of
from .slices import has_slices, middle_plane, plot_slices
from .surfaces import along_curve, is_curve, is_surface, plot_on_surface

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

CURVE_POINTS = 401
THIN = 6.0  # sides to one another: beyond, a domain is not drawn to scale


def plot_solution(
    model: Callable[..., Any],
    exact: Callable[..., Any] | None,
    domain: Domain,
    *,
    component: int | None = None,
    estimated_error: Callable[..., Any] | None = None,
    symbol: str = "u",
    components: Sequence[str] = (),
) -> "matplotlib.figure.Figure":
    """Solution u, exact solution u* and error u - u*, each with a color bar.

    `estimated_error`, a function of a point such as `ErrorEstimate.error`, is shown beside them.
    `symbol` is what the solution is called; with an empty one it is called nothing. `components`
    are names of the components of a vector solution instead, such as ("u", "v", "p").

    In one dimension these are curves. In space-time, t runs to the right where space has one
    dimension; where it has more, there is a strip of four snapshots. In three dimensions the three
    central planes are shown, in more the central plane of the first two coordinates. What is not
    shown is fixed at the middle of the domain. A curved domain is drawn up to its edge in the
    plane, and what of a slice lies outside is left white. A surface in space is seen from two
    sides, and on a curve values are drawn over its length. Without `exact` there is the solution
    alone. Of a vector solution every component has a row of its own, or `component` alone is shown;
    those of a complex one are its real parts, then its imaginary parts. Slices of several
    components leave out the exact solution, and draw the estimated error where the error is not
    known.

    Raises ValueError where `components` are not as many as the solution has.
    """
    known = {"u": model, "exact": exact, "estimate": estimated_error}
    functions = {key: function for key, function in known.items() if function is not None}
    shown = Shown(functions, component, symbol, components)
    with look.style():
        return _way(domain)(shown, domain)


def _way(domain: Domain) -> Callable[[Shown, Domain], "matplotlib.figure.Figure"]:
    """How functions on such a domain are drawn."""
    if domain.dimension == 1 or is_curve(domain):
        return _curves
    if is_surface(domain):
        return plot_on_surface
    return plot_slices if has_slices(domain) else _planes


def _curves(shown: Shown, domain: Domain) -> "matplotlib.figure.Figure":
    if domain.dimension > 1:
        points, x = along_curve(domain)
        label = "arc length"
    else:
        x = np.linspace(domain.lower[0], domain.upper[0], CURVE_POINTS)
        points, label = x[:, None], coordinate_names(domain)[0]
    fields, names = shown.at(points)
    columns = min(len(fields), 2)
    width = look.FULL_WIDTH if columns == 2 else look.COLUMN_WIDTH
    figure = look.new_figure(width, min(2.2 * len(names), look.TALLEST))
    rows = figure.subplots(len(names), columns, sharex=True, squeeze=False)
    for i, (axes, named) in enumerate(zip(rows, names, strict=True)):
        _row_of_curves(axes, x, {key: values[:, i] for key, values in fields.items()}, named)
    for ax in rows.ravel():
        ax.set(xlim=(x[0], x[-1]))
        look.few_ticks(ax)
    for ax in rows[-1]:
        ax.set(xlabel=label)
    return figure


def _row_of_curves(axes: Any, x: np.ndarray, fields: dict[str, np.ndarray], names: Names) -> None:
    """One component: the solution, and beside it the errors."""
    errors = {}
    if "exact" in fields:
        axes[0].plot(x, fields["exact"], color=look.SKY, linewidth=3.0, label=names.exact)
        errors[names.error] = fields["u"] - fields["exact"]
    if "estimate" in fields:
        errors[names.estimate] = fields["estimate"]
    if errors:
        _error_curves(axes[1], x, errors)
    axes[0].plot(x, fields["u"], color=look.BLACK, linewidth=0.9, label=names.solution)
    axes[0].set(ylabel="solution")
    axes[0].legend(loc="best")


def _error_curves(ax: "matplotlib.axes.Axes", x: np.ndarray, errors: dict[str, np.ndarray]) -> None:
    """One curve as such; an estimate on top of the error as a thin dashed line."""
    stacked = np.stack(list(errors.values()))
    finite = np.abs(stacked[np.isfinite(stacked)])
    factor, unit = unit_of(float(finite.max()) if finite.size else 0.0)
    ax.axhline(0.0, color=look.GRAY, linewidth=0.5)
    styles = ({"color": look.VERMILION}, {"color": look.BLACK, "linewidth": 0.9, "linestyle": "--"})
    for (name, _), values, style in zip(errors.items(), stacked, styles, strict=False):
        ax.plot(x, values / factor, label=name, **style)
    ax.set(ylabel=f"error{unit}" if len(errors) > 1 else f"{next(iter(errors))}{unit}")
    if len(errors) > 1:
        ax.legend(loc="best")


def _planes(shown: Shown, domain: Domain) -> "matplotlib.figure.Figure":
    points, shape = _places(domain)
    fields, names = shown.at(points)
    white = np.zeros(len(points), bool) if is_plane(domain) else outside(domain, points)
    fields = {key: np.where(white[:, None], np.nan, values) for key, values in fields.items()}
    table = [
        _row_of_panels({key: v[:, i].reshape(shape) for key, v in fields.items()}, named)
        for i, named in enumerate(names)
    ]
    # Four in a row are too narrow to read; of several components each has a row all the same.
    rows = 2 if len(table) == 1 and len(table[0]) == 4 else len(table)
    columns = sum(map(len, table)) // rows
    note = _slice_note(domain)
    width = look.FULL_WIDTH if columns > 1 else look.COLUMN_WIDTH
    height = _height(domain, width / max(columns, 2)) + 0.2 * bool(note)
    figure = look.new_figure(width, min(rows * height, 6.0 if len(table) == 1 else look.TALLEST))
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    _draw_panels(figure, axes, table, domain)
    axes[0].set(ylabel=coordinate_names(domain)[1])
    for ax in axes[1:]:
        ax.tick_params(left=False)
    if note:
        figure.suptitle(note, fontsize=8.0)
    return figure


def _row_of_panels(fields: dict[str, np.ndarray], names: Names) -> list[Panel]:
    """The panels of one component."""
    u = fields["u"]
    panels = [Panel(u, names.solution)]
    if "exact" in fields:
        exact = fields["exact"]
        panels += [Panel(exact, names.exact), Panel(u - exact, names.error, True)]
    if "estimate" in fields:
        panels.append(Panel(fields["estimate"], names.estimate, True))
    return panels


def _draw_panels(figure: Any, axes: Any, table: list[list[Panel]], domain: Domain) -> None:
    """Both solutions share their limits: a difference in color is then a difference in value."""
    limits = [limits_of(np.stack([p.values for p in row if not p.is_error])) for row in table]
    pairs = [(panel, limit) for row, limit in zip(table, limits, strict=True) for panel in row]
    for ax, (panel, limit) in zip(axes, pairs, strict=True):
        _image(figure, ax, panel, limit, domain, narrow=len(table) > 1 and len(table[0]) == 4)
        if len(table) > 1 and not ax.get_subplotspec().is_last_row():
            ax.set(xlabel="")


def image_panels(
    u: np.ndarray,
    u_exact: np.ndarray,
    domain: Domain,
    titles: tuple[str, str, str],
    *,
    ylabel: str | None = None,
) -> "matplotlib.figure.Figure":
    """Two fields in one scale, and their difference, on a plane domain."""
    panels = [Panel(u, titles[0]), Panel(u_exact, titles[1]), Panel(u - u_exact, titles[2], True)]
    limits = limits_of(np.stack([u, u_exact]))
    with look.style():
        figure = look.new_figure(look.FULL_WIDTH, _height(domain, look.FULL_WIDTH / 3))
        axes = figure.subplots(1, 3, sharex=True, sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            _image(figure, ax, panel, limits, domain)
        axes[0].set(ylabel=ylabel or coordinate_names(domain)[1])
        return figure


def _image(
    figure: Any,
    ax: "matplotlib.axes.Axes",
    panel: Panel,
    limits: tuple,
    domain: Domain,
    *,
    narrow: bool = False,
) -> None:
    scale = scale_of(panel, limits)
    image = draw_values(ax, panel.values, domain, scale, smooth=is_box(domain))
    unit = scale.unit
    title = panel.title + (unit.replace("  ", "\n") if narrow else unit)
    ax.set(title=title, xlabel=coordinate_names(domain)[0])
    look.hide_spines(ax)
    look.few_ticks(ax)
    if not isinstance(domain, SpaceTime):
        width, height = (b - a for a, b in zip(domain.lower[:2], domain.upper[:2], strict=True))
        ax.set_box_aspect(_aspect(height / width))
    color_bar(figure, image, ax, scale)


def _places(domain: Domain) -> tuple[np.ndarray, tuple[int, ...]]:
    """Where functions are evaluated, and the shape of their values: flat ones on triangles."""
    if not is_plane(domain):
        return middle_plane(domain, (0, 1))
    points, _ = triangles(domain)
    return points, (len(points),)


def _slice_note(domain: Domain) -> str:
    """What the coordinates that are not shown are fixed at: "x_3 = x_4 = 0.5"."""
    groups: dict[str, list[str]] = {}
    for name, a, b in list(zip(coordinate_names(domain), domain.lower, domain.upper, strict=True))[
        2:
    ]:
        groups.setdefault(look.in_plain_numbers((a + b) / 2), []).append(name)
    parts = [f"{' = '.join(names)} = {value}" for value, names in groups.items()]
    return f"central plane, {', '.join(parts)}" if parts else ""


def _height(domain: Domain, width: float) -> float:
    """Height of a row of panels: to scale in space where that can be seen, fixed in space-time."""
    if isinstance(domain, SpaceTime):
        return 2.1
    extents = [b - a for a, b in zip(domain.lower, domain.upper, strict=True)]
    return min(0.72 * width * _aspect(extents[1] / extents[0]) + 0.6, 6.0)


def _aspect(ratio: float) -> float:
    """Height over width of an image: true to scale, but for domains too thin to see anything."""
    return ratio if 1 / THIN <= ratio <= THIN else 0.5 if ratio < 1 else 1.6
