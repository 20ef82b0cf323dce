"""Panels of a few labeled curves each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import style as look

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


class Curves(NamedTuple):
    """One panel: curves (x, y), or (x, y, low, high) with a band, by label."""

    curves: Mapping[str, tuple[Any, ...]]
    xlabel: str
    ylabel: str
    title: str = ""
    xscale: str = "log"
    yscale: str = "log"


def plot_curves(
    panels: Sequence[Curves], *, marker: str = "o", rows: int = 1
) -> "matplotlib.figure.Figure":
    """Panels in rows with one legend below; a label has the same color and line in all."""
    with look.style():
        width = look.COLUMN_WIDTH if len(panels) == 1 else look.FULL_WIDTH
        figure = look.new_figure(width, 0.7 + 2.3 * rows)
        draw_curves(figure, panels, width, marker=marker, rows=rows)
        return figure


def draw_curves(
    figure: Any, panels: Sequence[Curves], width: float, *, marker: str = "o", rows: int = 1
) -> None:
    """The panels and their legend in a figure, or a part of one, of so many inches."""
    labels = list(dict.fromkeys(label for panel in panels for label in panel.curves))
    strokes = look.cycled(labels)
    axes = np.atleast_1d(figure.subplots(rows, len(panels) // rows)).ravel()
    for ax, panel in zip(axes, panels, strict=True):
        _draw(ax, panel, strokes, marker)
    shown = {h.get_label(): h for ax in axes for h in ax.get_legend_handles_labels()[0]}
    columns = look.legend_columns(labels, width)
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns,
                  columnspacing=1.2, handlelength=1.4)  # fmt: skip


def _draw(
    ax: "matplotlib.axes.Axes", panel: Curves, strokes: Mapping[str, look.Stroke], marker: str
) -> None:
    for label, (x, y, *band) in panel.curves.items():
        color, line = strokes[label]
        ax.plot(x, y, marker=marker, markersize=3, color=color, linestyle=line, label=label)
        if band:
            ax.fill_between(x, *band, color=color, alpha=0.18, linewidth=0)
    ax.set(xscale=panel.xscale, yscale=panel.yscale, xlabel=panel.xlabel, ylabel=panel.ylabel,
           title=panel.title)  # fmt: skip
    for axis, scale in ((ax.xaxis, panel.xscale), (ax.yaxis, panel.yscale)):
        if scale == "log":
            look.decades(axis)
