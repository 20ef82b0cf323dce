"""Paths of optimizers on the level sets of a function of two parameters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import style as look

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


class Landscape(NamedTuple):
    """One panel: values (n, m) on the axes x (n,) and y (m,), and a path (steps, 2) a label."""

    title: str
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    paths: Mapping[str, np.ndarray]


def plot_paths(
    landscapes: Sequence[Landscape], names: tuple[str, str], *, minimum: Any = None
) -> "matplotlib.figure.Figure":
    """Panels side by side; a dot where the paths start, a cross at the known `minimum`.

    A path that leaves the panel ends at its frame.
    """
    with look.style():
        figure = look.new_figure(look.FULL_WIDTH, 3.1)
        axes = np.atleast_1d(figure.subplots(1, len(landscapes), sharex=True, sharey=True))
        labels = list(landscapes[0].paths)
        strokes = look.cycled(labels)
        for ax, landscape in zip(axes, landscapes, strict=True):
            _panel(ax, landscape, strokes)
            ax.set(title=landscape.title, xlabel=names[0])
            if minimum is not None:
                ax.plot(*minimum, "x", color=look.BLACK, markersize=7, markeredgewidth=1.4)
        axes[0].set(ylabel=names[1])
        handles, texts = axes[0].get_legend_handles_labels()
        columns = look.legend_columns(labels, look.FULL_WIDTH)
        figure.legend(handles, texts, loc="outside lower center", ncols=columns,
                      columnspacing=1.2, handlelength=1.4)  # fmt: skip
        return figure


def _panel(
    ax: "matplotlib.axes.Axes", landscape: Landscape, strokes: Mapping[str, look.Stroke]
) -> None:
    x, y, values = landscape.x, landscape.y, landscape.values
    ax.contourf(x, y, values.T, levels=24, cmap="Greys_r", alpha=0.55)
    ax.contour(x, y, values.T, levels=24, colors="white", linewidths=0.4)
    for rank, (label, path) in enumerate(landscape.paths.items()):
        width = 3.2 - 2.2 * rank / max(1, len(landscape.paths) - 1)  # paths on top of each other
        color, line = strokes[label]
        ax.plot(path[:, 0], path[:, 1], line, color=color, linewidth=width, label=label)
        ax.plot(*path[-1], "o", color=color, markersize=3)
    start = next(iter(landscape.paths.values()))[0]
    ax.plot(*start, "o", color=look.BLACK, markersize=5)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
