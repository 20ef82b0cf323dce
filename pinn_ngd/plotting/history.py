"""How one run went: loss, error and damping, step by step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style as look

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Record = Mapping[str, Any]


def plot_history(history: Sequence[Record]) -> "matplotlib.figure.Figure":
    """Loss and relative L2 error against steps, below them the damping; rejected steps marked.

    `history` holds the records of `history.jsonl`. A loss that goes below zero (an energy) is shown
    above its lowest value. The damping has no panel where the optimizer has none.
    """
    with look.style():
        step, damping = column(history, "step"), column(history, "damping")
        damped = bool(np.any(damping > 0))
        figure = look.new_figure(look.COLUMN_WIDTH, 3.4 if damped else 2.3)
        grid = {"height_ratios": (3, 2)} if damped else None
        axes = np.atleast_1d(figure.subplots(2 if damped else 1, 1, sharex=True, gridspec_kw=grid))
        rejected = column(history, "accepted") == 0
        _losses(axes[0], history, step, rejected)
        if damped:
            _damping(axes[1], step, damping, rejected)
        axes[-1].set(xlabel="step")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3, columnspacing=1.0,
                      handlelength=1.0, handletextpad=0.5, borderaxespad=0.0)  # fmt: skip
        return figure


def column(history: Sequence[Record], name: str) -> np.ndarray:
    """One quantity of all records; not a number where a record lacks it."""
    values = [record.get(name) for record in history]
    return np.asarray([np.nan if value is None else value for value in values], dtype=float)


def _losses(
    ax: "matplotlib.axes.Axes", history: Sequence[Record], step: np.ndarray, rejected: np.ndarray
) -> None:
    loss, label = _positive_loss(column(history, "loss"))
    ax.plot(step, loss, color=look.BLUE, label=label)
    error = column(history, "relative_l2")
    seen = np.isfinite(error)
    if seen.any():
        ax.plot(step[seen], error[seen], color=look.VERMILION, label="relative $L^2$ error")
    _mark(ax, step, loss, rejected, label="rejected")
    ax.set_yscale("log")
    look.decades(ax.yaxis)


def _damping(
    ax: "matplotlib.axes.Axes", step: np.ndarray, damping: np.ndarray, rejected: np.ndarray
) -> None:
    shown = np.where(damping > 0, damping, np.nan)
    ax.plot(step, shown, color=look.GREEN)
    _mark(ax, step, shown, rejected)
    ax.set_yscale("log")
    ax.set(ylabel="damping")
    look.decades(ax.yaxis, 5)


def _mark(
    ax: "matplotlib.axes.Axes",
    step: np.ndarray,
    values: np.ndarray,
    where: np.ndarray,
    label: str | None = None,
) -> None:
    if where.any():
        ax.plot(
            step[where], values[where], linestyle="none", marker="x", markersize=4.0,
            markeredgewidth=0.9, color=look.BLACK, label=label, zorder=5,
        )  # fmt: skip


def _positive_loss(loss: np.ndarray) -> tuple[np.ndarray, str]:
    finite = loss[np.isfinite(loss)]
    if finite.size == 0 or finite.min() >= 0:
        return np.where(loss > 0, loss, np.nan), "loss"
    above = loss - finite.min()
    return np.where(above > 0, above, np.nan), "loss $-$ lowest"
