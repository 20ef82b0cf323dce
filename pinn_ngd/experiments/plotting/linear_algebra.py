"""Errors of linear algebra against time, products or read-outs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style as look

if TYPE_CHECKING:
    import matplotlib.figure


def plot_errors(
    curves: Mapping[str, tuple[Any, Any]],
    *,
    xlabel: str,
    ylabel: str = "relative error",
    theory: tuple[Any, Any] | None = None,
) -> "matplotlib.figure.Figure":
    """Doubly logarithmic curves (x, error), one a label; `theory` (x, error) is a gray band below.

    Points without a positive error, which a logarithm cannot show, are left out. Raises ValueError
    without curves.
    """
    if not curves:
        msg = "`curves` is empty: pass at least one pair of abscissae and errors by its label."
        raise ValueError(msg)
    with look.style():
        figure = look.new_figure(look.COLUMN_WIDTH, 2.6)
        axes = figure.subplots()
        if theory is not None:
            axes.plot(*theory, color=look.GRAY, alpha=0.35, linewidth=5, label="theory")
        strokes = look.cycled(curves)
        for rank, (label, (x, error)) in enumerate(curves.items()):
            x, error = np.asarray(x), np.asarray(error)
            shown = (x > 0) & (error > 0)
            width = 3.2 - 2.2 * rank / max(1, len(curves) - 1)  # curves on top of each other
            axes.plot(x[shown], error[shown], marker="o", color=strokes[label].color,
                      linestyle=strokes[label].linestyle, linewidth=width, markersize=2 + width,
                      label=label)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
        for axis in (axes.xaxis, axes.yaxis):
            look.decades(axis)
        axes.legend()
        return figure
