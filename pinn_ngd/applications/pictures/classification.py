"""What a classifier gets wrong."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ...experiments.plotting.style import BLACK, FULL_WIDTH, hide_spines, new_figure, style

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

MISTAKES = 12


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
    with style():
        figure = new_figure(FULL_WIDTH, 3.4)
        halves: Any = figure.subfigures(1, 2)
        left, right = halves
        _matrix(left.subplots(), counts)
        _mistakes(right, logits, labels, inputs)
        return figure


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
        hide_spines(ax)


def _example(ax: "matplotlib.axes.Axes", x: np.ndarray) -> None:
    if x.ndim == 3 and min(x.shape[1:]) > 1:
        ax.imshow(x.mean(axis=0), cmap="Greys")
    else:
        ax.plot(x.ravel(), color=BLACK, linewidth=0.8)
