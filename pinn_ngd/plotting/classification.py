"""How a classifier learned, and what it gets wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style as look
from .history import Record, column

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

AXES = (("step", "step"), ("seconds", "seconds"))
WINDOW = 20  # steps of the moving average of the batches' losses
MISTAKES = 12


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
        panels[0, 0].set(ylabel="loss of a batch")
        panels[1, 0].set(ylabel="test accuracy")
        return figure


def plot_confusion(
    logits: np.ndarray, labels: np.ndarray, inputs: np.ndarray
) -> "matplotlib.figure.Figure":
    """Confusion matrix of a test set, and its most confident mistakes.

    `logits` (n, k), `labels` (n,), `inputs` (n, 1, h, w) pictures or anything that ravels to
    curves. Above a mistake stands what the model says for what: "9 for 4" is a four taken for a
    nine. The diagonal of the matrix is left pale: its counts are written, its colors would hide
    the mistakes.
    """
    logits, labels, inputs = (np.asarray(a) for a in (logits, labels, inputs))
    guesses, classes = logits.argmax(axis=1), logits.shape[1]
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, guesses), 1)
    with look.style():
        figure = look.new_figure(look.FULL_WIDTH, 3.4)
        left, right = figure.subfigures(1, 2)
        _matrix(left.subplots(), counts)
        _mistakes(right, logits, labels, inputs)
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


def _matrix(ax: "matplotlib.axes.Axes", counts: np.ndarray) -> None:
    wrong = counts - np.diag(np.diag(counts))
    ax.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(1, wrong.max() * 1.4))
    for (row, place), count in np.ndenumerate(counts):
        if count:
            ax.text(place, row, str(count), ha="center", va="center", fontsize=7.0)
    ticks = range(len(counts))
    ax.set(xlabel="predicted", ylabel="true", xticks=ticks, yticks=ticks)
    ax.set_title(f"{wrong.sum()} of {counts.sum()} wrong")


def _mistakes(figure: Any, logits: np.ndarray, labels: np.ndarray, inputs: np.ndarray) -> None:
    guesses = logits.argmax(axis=1)
    margin = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    worst = np.argsort(-margin)[:MISTAKES]
    panels = figure.subplots(3, 4).ravel()
    for ax, place in zip(panels, worst, strict=False):
        if guesses[place] == labels[place]:
            break
        _example(ax, inputs[place])
        ax.set_title(f"{guesses[place]} for {labels[place]}")
    for ax in panels:
        ax.set(xticks=[], yticks=[])
        look.hide_spines(ax)


def _example(ax: "matplotlib.axes.Axes", x: np.ndarray) -> None:
    if x.ndim == 3 and min(x.shape[1:]) > 1:
        ax.imshow(x.mean(axis=0), cmap="Greys")
    else:
        ax.plot(x.ravel(), color=look.BLACK, linewidth=0.8)
