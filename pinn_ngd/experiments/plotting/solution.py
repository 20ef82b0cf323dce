"""The trained solution beside the exact one, and the error."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...geometry.domains import Domain, SpaceTime
from . import style as look
from .curved import draw_triangles, is_box, is_plane, outside, triangles

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

CURVE_POINTS = 401
PLANE_POINTS = 161
THIN = 6.0  # sides to one another: beyond, a domain is not drawn to scale
TALLEST = 9.0  # inches


class Panel(NamedTuple):
    """Values on the grid, a title, and whether they are an error (signed, around zero)."""

    values: np.ndarray
    title: str
    is_error: bool = False


class Names(NamedTuple):
    """What the panels of one component are called."""

    solution: str
    exact: str
    error: str
    estimate: str


def plot_solution(
    model: Callable[..., Any],
    exact: Callable[..., Any] | None,
    domain: Domain,
    *,
    component: int | None = None,
    estimated_error: Callable[..., Any] | None = None,
    symbol: str = "u",
) -> "matplotlib.figure.Figure":
    """Solution u, exact solution u* and error u - u*, each with a color bar.

    `estimated_error`, a function of a point such as `ErrorEstimate.error`, is shown beside them.
    `symbol` is what the solution is called; with an empty one it is called nothing.

    In one dimension these are curves. In space-time, t runs to the right. In more than two
    dimensions the central plane of the first two coordinates is shown, the others fixed at the
    middle of the domain. A curved domain is drawn up to its edge in the plane, and what of a slice
    lies outside is left white. Without `exact` there is the solution alone. Of a vector solution
    every component has a row of its own, or `component` alone is shown; those of a complex one are
    its real parts, then its imaginary parts.
    """
    draw = _curves if domain.dimension == 1 else _planes
    with look.style():
        return draw(model, exact, domain, component, estimated_error, symbol)


def _names(count: int, is_complex: bool, symbol: str) -> list[Names]:
    """Names for every real component."""
    per_part = count // 2 if is_complex else count
    found = []
    for i in range(count):
        index = f"_{{{i % per_part + 1}}}" if per_part > 1 else ""
        part = ("\\mathrm{Re}\\,", "\\mathrm{Im}\\,")[i // per_part] if is_complex else ""
        u, star = f"${part}{symbol}{index}$", f"${part}{symbol}^\\ast{index}$"
        minus = f"{u[:-1]} - {star[1:]}"
        if not symbol:
            u, star, minus = ("", "", "") if count == 1 else (f"{i + 1}",) * 3
        of = f" {u}" if count > 1 and not symbol else ""
        found.append(
            Names(f"network {u}", f"exact {star}", f"error {minus}", f"estimated error{of}")
        )
    return [Names(*(name.strip() for name in names)) for names in found]


def _fields(
    functions: dict[str, Any], points: np.ndarray, component: int | None, symbol: str
) -> tuple[dict[str, np.ndarray], list[Names]]:
    """Values (n, k) of some functions of a point, and the names of their k real components."""
    found = {key: _values(function, points) for key, function in functions.items()}
    is_complex = any(np.iscomplexobj(values) for values in found.values())
    if is_complex:
        parts = {key: (np.real(v), np.imag(v)) for key, v in found.items()}
        found = {key: np.concatenate(pair, axis=1) for key, pair in parts.items()}
    names = _names(next(iter(found.values())).shape[1], is_complex, symbol)
    if component is not None and len(names) > 1:
        found = {key: values[:, [component]] for key, values in found.items()}
        names = [names[component]]
    return found, names


def coordinate_names(domain: Domain) -> list[str]:
    """x, y or x_1 ... x_d, behind t where the domain has time."""
    timed = isinstance(domain, SpaceTime)
    space = domain.dimension - timed
    short = {1: ["$x$"], 2: ["$x$", "$y$"]}
    names = short.get(space) or [f"$x_{{{i + 1}}}$" for i in range(space)]
    return ["$t$", *names] if timed else names


def _functions(model: Any, exact: Any, estimate: Any) -> dict[str, Any]:
    known = {"u": model, "exact": exact, "estimate": estimate}
    return {key: function for key, function in known.items() if function is not None}


def _curves(
    model: Any, exact: Any, domain: Domain, component: int | None, estimate: Any, symbol: str
) -> "matplotlib.figure.Figure":
    x = np.linspace(domain.lower[0], domain.upper[0], CURVE_POINTS)
    functions = _functions(model, exact, estimate)
    fields, names = _fields(functions, x[:, None], component, symbol)
    columns = min(len(functions), 2)
    width = look.FULL_WIDTH if columns == 2 else look.COLUMN_WIDTH
    figure = look.new_figure(width, min(2.2 * len(names), TALLEST))
    rows = figure.subplots(len(names), columns, sharex=True, squeeze=False)
    for i, (axes, named) in enumerate(zip(rows, names, strict=True)):
        _row_of_curves(axes, x, {key: values[:, i] for key, values in fields.items()}, named)
    for ax in rows.ravel():
        ax.set(xlim=(x[0], x[-1]))
        look.few_ticks(ax)
    for ax in rows[-1]:
        ax.set(xlabel=coordinate_names(domain)[0])
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
    factor, unit = _unit(float(finite.max()) if finite.size else 0.0)
    ax.axhline(0.0, color=look.GRAY, linewidth=0.5)
    styles = ({"color": look.VERMILION}, {"color": look.BLACK, "linewidth": 0.9, "linestyle": "--"})
    for (name, _), values, style in zip(errors.items(), stacked, styles, strict=False):
        ax.plot(x, values / factor, label=name, **style)
    ax.set(ylabel=f"error{unit}" if len(errors) > 1 else f"{next(iter(errors))}{unit}")
    if len(errors) > 1:
        ax.legend(loc="best")


def _planes(
    model: Any, exact: Any, domain: Domain, component: int | None, estimate: Any, symbol: str
) -> "matplotlib.figure.Figure":
    points, shape = _places(domain)
    functions = _functions(model, exact, estimate)
    fields, names = _fields(functions, points, component, symbol)
    white = np.zeros(len(points), bool) if is_plane(domain) else outside(domain, points)
    shown = {key: np.where(white[:, None], np.nan, values) for key, values in fields.items()}
    table = [
        _row_of_panels({key: v[:, i].reshape(shape) for key, v in shown.items()}, named)
        for i, named in enumerate(names)
    ]
    # Four in a row are too narrow to read; of several components each has a row all the same.
    rows = 2 if len(table) == 1 and len(table[0]) == 4 else len(table)
    columns = sum(map(len, table)) // rows
    note = _slice_note(domain)
    width = look.FULL_WIDTH if columns > 1 else look.COLUMN_WIDTH
    height = _height(domain, width / max(columns, 2)) + 0.2 * bool(note)
    figure = look.new_figure(width, min(rows * height, 6.0 if len(table) == 1 else TALLEST))
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
    limits = [_limits(np.stack([p.values for p in row if not p.is_error])) for row in table]
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
    limits = _limits(np.stack([u, u_exact]))
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
    values, unit, colormap, extend = panel.values, "", "viridis", "neither"
    if panel.is_error:
        bound, extend = _error_bound(values)
        factor, unit = _unit(bound)
        values, bound = values / factor, bound / factor
        limits, colormap = (-bound, bound), "RdBu_r"
    (left, right), (bottom, top) = zip(domain.lower[:2], domain.upper[:2], strict=True)
    colors: Any = {"cmap": colormap, "vmin": limits[0], "vmax": limits[1]}
    if values.ndim == 1:
        image = draw_triangles(ax, domain, *triangles(domain), values, **colors)
    else:
        image = ax.imshow(
            values.T, origin="lower", extent=(left, right, bottom, top), aspect="auto",
            interpolation="bilinear" if is_box(domain) else "nearest", **colors,
        )  # fmt: skip
    title = panel.title + (unit.replace("  ", "\n") if narrow else unit)
    ax.set(title=title, xlabel=coordinate_names(domain)[0])
    look.hide_spines(ax)
    look.few_ticks(ax)
    if not isinstance(domain, SpaceTime):
        ax.set_box_aspect(_aspect((top - bottom) / (right - left)))
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03, extend=extend)
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=5)
    bar.ax.tick_params(length=2.0)


def _places(domain: Domain) -> tuple[np.ndarray, tuple[int, ...]]:
    """Where functions are evaluated, and the shape of their values: flat ones on triangles."""
    if not is_plane(domain):
        return _plane(domain)
    points, _ = triangles(domain)
    return points, (len(points),)


def _plane(domain: Domain) -> tuple[np.ndarray, tuple[int, int]]:
    """Points (n^2, d) of the central plane of the first two coordinates, and (n, n)."""
    first, second = (
        np.linspace(a, b, PLANE_POINTS)
        for a, b in zip(domain.lower[:2], domain.upper[:2], strict=True)
    )
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    middle = [(a + b) / 2 for a, b in zip(domain.lower[2:], domain.upper[2:], strict=True)]
    rest = np.broadcast_to(np.asarray(middle, dtype=float), (len(grid), len(middle)))
    return np.concatenate([grid, rest], axis=1), (PLANE_POINTS, PLANE_POINTS)


def _slice_note(domain: Domain) -> str:
    """What the coordinates that are not shown are fixed at: "x_3 = x_4 = 0.5"."""
    groups: dict[str, list[str]] = {}
    for name, a, b in list(zip(coordinate_names(domain), domain.lower, domain.upper, strict=True))[
        2:
    ]:
        groups.setdefault(look.in_plain_numbers((a + b) / 2), []).append(name)
    parts = [f"{' = '.join(names)} = {value}" for value, names in groups.items()]
    return f"central plane, {', '.join(parts)}" if parts else ""


def _values(function: Any, points: np.ndarray) -> np.ndarray:
    """u at points (n, d), one compiled call: (n, k), real or complex."""
    import jax
    import jax.numpy as jnp

    array = jnp.asarray(points, dtype=jnp.result_type(float))
    found = np.asarray(jax.jit(jax.vmap(lambda x: function(x)))(array)).reshape(len(points), -1)
    return found.astype(complex if np.iscomplexobj(found) else float)


def _limits(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _error_bound(error: np.ndarray) -> tuple[float, str]:
    """Where the colors of an error end, and whether the bar says that there is more beyond.

    An error that is much larger in a corner than anywhere else would leave the rest white.
    """
    finite = np.abs(error[np.isfinite(error)])
    largest, most = (float(np.quantile(finite, q)) for q in (1.0, 0.99)) if finite.size else (1, 1)
    spiky = 0.0 < 2.0 * most < largest
    return (most, "both") if spiky else (largest or 1.0, "neither")


def _unit(largest: float) -> tuple[float, str]:
    """A power of ten in which numbers up to the largest are read well, and its text for a label."""
    power = math.floor(math.log10(largest)) if largest > 0.0 else 0
    if -2 <= power <= 2:
        return 1.0, ""
    return 10.0**power, f"  $(\\times 10^{{{power}}})$"


def _height(domain: Domain, width: float) -> float:
    """Height of a row of panels: to scale in space where that can be seen, fixed in space-time."""
    if isinstance(domain, SpaceTime):
        return 2.1
    extents = [b - a for a, b in zip(domain.lower, domain.upper, strict=True)]
    return min(0.72 * width * _aspect(extents[1] / extents[0]) + 0.6, 6.0)


def _aspect(ratio: float) -> float:
    """Height over width of an image: true to scale, but for domains too thin to see anything."""
    return ratio if 1 / THIN <= ratio <= THIN else 0.5 if ratio < 1 else 1.6
