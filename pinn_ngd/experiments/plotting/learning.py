"""How a classifier learned: losses of batches and test accuracy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import style as look
from .history import Record, column

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

AXES = (("step", "step"), ("seconds", "seconds"))
WINDOW = 20  # steps of the moving average of the batches' losses


def plot_learning(history: Sequence[Record]) -> "matplotlib.figure.Figure":
    """Loss and test accuracy against steps and against seconds of training.

    The loss of a batch is noisy: it is drawn pale, its mean over 20 records in full color.
    """
    with look.style():
        figure = look.new_figure(look.FULL_WIDTH, 3.6)
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        for (name, label), (above, below) in zip(AXES, panels.T, strict=True):
            _losses(above, column(history, name), column(history, "loss"))
            _accuracy(below, column(history, name), column(history, "test_accuracy"))
            below.set(xlabel=label)
        look.whole_steps(panels[1, 0].xaxis)
        look.decades(panels[0, 0].yaxis)
        panels[0, 0].set(ylabel="loss of a batch")
        panels[1, 0].set(ylabel="test accuracy")
        return figure


def _losses(ax: "matplotlib.axes.Axes", x: np.ndarray, loss: np.ndarray) -> None:
    loss = np.where(loss > 0, loss, np.nan)
    ax.plot(x, loss, color=look.BLUE, alpha=0.25, linewidth=0.6)
    if len(loss) > WINDOW:
        mean = np.convolve(loss, np.full(WINDOW, 1 / WINDOW), mode="valid")
        ax.plot(x[WINDOW // 2 : WINDOW // 2 + len(mean)], mean, color=look.BLUE)
    ax.set_yscale("log")


def _accuracy(ax: "matplotlib.axes.Axes", x: np.ndarray, accuracy: np.ndarray) -> None:
    seen = np.isfinite(accuracy)
    ax.plot(x[seen], accuracy[seen], color=look.VERMILION, marker=".", markersize=3.0)
    ax.grid(visible=True, axis="y", color="#dddddd", linewidth=0.4)
    if seen.any():  # the first steps would press what matters against the top
        best = accuracy[seen].max()
        ax.set_ylim(bottom=max(0.0, 1 - 5 * max(1 - best, 0.01)))
