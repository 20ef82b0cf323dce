"""One panel of colors: its scale, its image and its color bar."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...geometry.domains import Domain
from .curved import draw_triangles, triangles
from .fields import Names

if TYPE_CHECKING:
    import matplotlib.axes


class Panel(NamedTuple):
    """Values on the points, a title, and whether they are an error (signed, around zero)."""

    values: np.ndarray
    title: str
    is_error: bool = False


class Scale(NamedTuple):
    """The unit in which values are read, its text, their colors, and where the bar goes on."""

    factor: float
    unit: str
    limits: tuple[float, float]
    colormap: str
    extend: str


def scale_of(panel: Panel, limits: tuple[float, float]) -> Scale:
    """Colors from one limit to the other; those of an error around zero, in its own unit."""
    if not panel.is_error:
        return Scale(1.0, "", limits, "viridis", "neither")
    bound, extend = _error_bound(panel.values)
    factor, unit = unit_of(bound)
    return Scale(factor, unit, (-bound / factor, bound / factor), "RdBu_r", extend)


def draw_values(
    ax: "matplotlib.axes.Axes",
    values: np.ndarray,
    domain: Domain,
    scale: Scale,
    *,
    axes: tuple[int, int] = (0, 1),
    smooth: bool = True,
) -> Any:
    """Values (n, m) on a grid of two axes of a domain, or (n,) on the triangles of a plane one."""
    colors: Any = {"cmap": scale.colormap, "vmin": scale.limits[0], "vmax": scale.limits[1]}
    values = values / scale.factor
    if values.ndim == 1:
        return draw_triangles(ax, domain, *triangles(domain), values, **colors)
    corners = [(domain.lower[i], domain.upper[i]) for i in axes]
    return ax.imshow(
        values.T, origin="lower", extent=(*corners[0], *corners[1]), aspect="auto",
        interpolation="bilinear" if smooth else "nearest", **colors,
    )  # fmt: skip


def color_bar(
    figure: Any, image: Any, axes: Any, scale: Scale, *, part: float = 0.05, pad: float = 0.03
) -> Any:
    """The color bar beside one panel, or beside several that share their colors."""
    bar = figure.colorbar(image, ax=axes, fraction=part, pad=pad, extend=scale.extend)
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=5)
    bar.ax.tick_params(length=2.0)
    return bar


def limits_of(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest finite value."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def rows_of(fields: dict[str, np.ndarray], names: Names, several: bool) -> list[tuple[Panel, Any]]:
    """The rows of one component, each with the limits of its colors.

    Both solutions share theirs. Of several components there is the solution and one error.
    """
    u, exact, estimate = (fields.get(key) for key in ("u", "exact", "estimate"))
    assert u is not None
    solutions = [Panel(u, names.solution)]
    errors = []
    if exact is not None:
        errors.append(Panel(u - exact, names.error, True))
        if not several:
            solutions.append(Panel(exact, names.exact))
    if estimate is not None and not (several and errors):
        errors.append(Panel(estimate, names.estimate, True))
    limits = limits_of(np.stack([panel.values for panel in solutions]))
    return [(panel, limits) for panel in solutions + errors]


def _error_bound(error: np.ndarray) -> tuple[float, str]:
    """Where the colors of an error end, and whether the bar says that there is more beyond.

    An error that is much larger in a corner than anywhere else would leave the rest white.
    """
    finite = np.abs(error[np.isfinite(error)])
    largest, most = (float(np.quantile(finite, q)) for q in (1.0, 0.99)) if finite.size else (1, 1)
    spiky = 0.0 < 2.0 * most < largest
    return (most, "both") if spiky else (largest or 1.0, "neither")


def unit_of(largest: float) -> tuple[float, str]:
    """A power of ten in which numbers up to the largest are read well, and its text for a label."""
    power = math.floor(math.log10(largest)) if largest > 0.0 else 0
    if -2 <= power <= 2:
        return 1.0, ""
    return 10.0**power, f"  $(\\times 10^{{{power}}})$"
