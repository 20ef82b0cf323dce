"""The L-curve, and what three rules make of it."""

from typing import TYPE_CHECKING

from ...training import RegularizationPath
from . import style as look

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


def plot_l_curve(path: RegularizationPath) -> "matplotlib.figure.Figure":
    """Penalty against misfit, and misfit, freedom and cross validation against the weight.

    The weights that the corner, the discrepancy principle and cross validation choose are marked.
    """
    with look.style():
        figure = look.new_figure(look.FULL_WIDTH, 2.9)
        left, right = figure.subplots(1, 2)
        _draw_curve(left, path)
        _draw_rules(right, path)
        for ax in (left, right):
            look.decades(ax.xaxis)
            look.decades(ax.yaxis)
        return figure


def _draw_curve(ax: "matplotlib.axes.Axes", path: RegularizationPath) -> None:
    ax.loglog(path.misfits / path.count, path.penalties, "-o", color=look.GRAY, markersize=3)
    for name, (place, color, marker) in _chosen(path).items():
        ax.plot(path.misfits[place] / path.count, path.penalties[place], marker, color=color,
                markersize=8, fillstyle="none", markeredgewidth=1.4, linestyle="none",
                label=f"{name}: {path.weights[place]:.2g}")  # fmt: skip
    ax.set(xlabel="misfit / number of measurements", ylabel="penalty", title="L-curve")
    ax.legend(title="weight by", loc="upper right")


def _draw_rules(ax: "matplotlib.axes.Axes", path: RegularizationPath) -> None:
    ax.loglog(path.weights, path.misfits / path.count, "-o", color=look.BLUE, markersize=3,
              label="misfit / number of measurements")  # fmt: skip
    ax.loglog(path.weights, path.generalized_cross_validation, "-o", color=look.GREEN, markersize=3,
              label="generalized cross validation")  # fmt: skip
    ax.loglog(path.weights, path.freedoms / path.count, "--", color=look.GRAY,
              label="degrees of freedom / number")  # fmt: skip
    ax.axhline(1.0, color=look.BLACK, linewidth=0.6)
    for place, color, _ in _chosen(path).values():
        ax.axvline(path.weights[place], color=color, linewidth=0.8, linestyle=":")
    ax.set(xlabel="weight", title="What the data say")
    ax.legend()


def _chosen(path: RegularizationPath) -> dict[str, tuple[int, str, str]]:
    return {
        "corner": (path.corner, look.VERMILION, "s"),
        "discrepancy": (path.discrepancy, look.BLUE, "o"),
        "cross validation": (path.cross_validated, look.GREEN, "^"),
    }
