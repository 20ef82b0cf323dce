"""How one run went: loss, error and damping, step by step."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...training.records import COMPONENT, component_errors, losses_of_terms, scores_in
from . import style as look

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Record = Mapping[str, Any]
COMPONENT_COLORS = (look.ORANGE, look.GREEN, look.PURPLE, look.GRAY)


def plot_history(history: Sequence[Record]) -> "matplotlib.figure.Figure":
    """Loss, held-out loss, true and estimated relative L2 error against steps.

    The errors of components are thin lines. Below them the losses of the terms (held-out ones
    dashed) where there are several, and the problem's own scores, and the damping where the
    optimizer has one. `history` holds the records of `history.jsonl`. Rejected steps are marked,
    and so are those after which points were added. A loss that goes below zero (an energy) is
    shown above its lowest value.
    """
    with look.style():
        step, damping = column(history, "step"), column(history, "damping")
        terms = term_names(history)
        scores = score_names(history)
        ratios = [3] + [2.5] * (len(terms) > 1) + [2.0] * bool(scores)
        ratios += [1.6] * bool(np.any(damping > 0))
        figure = look.new_figure(look.COLUMN_WIDTH, 0.4 + 0.62 * sum(ratios))
        grid = {"height_ratios": ratios}
        axes = np.atleast_1d(figure.subplots(len(ratios), 1, sharex=True, gridspec_kw=grid))
        rejected = column(history, "accepted") == 0
        _losses(axes[0], history, step, rejected)
        if len(terms) > 1:
            _terms(axes[1], history, step, terms)
        if scores:
            _scores(axes[1 + (len(terms) > 1)], history, step, scores)
        if np.any(damping > 0):
            _damping(axes[-1], step, damping, rejected)
        for ax in axes:
            _mark_growth(ax, step, column(history, "points"))
        axes[-1].set(xlabel="step")
        look.whole_steps(axes[-1].xaxis)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, columnspacing=1.0,
                      handlelength=1.4, handletextpad=0.5, borderaxespad=0.0)  # fmt: skip
        return figure


def term_names(history: Sequence[Record]) -> list[str]:
    """The terms whose training and held-out losses stand in the history."""
    return list(losses_of_terms(history[-1])) if history else []


def score_names(history: Sequence[Record]) -> list[str]:
    """The problem's own scores in a history, in the order in which they came."""
    return list(dict.fromkeys(name for record in history for name in scores_in(record)))


def _scores(
    ax: "matplotlib.axes.Axes", history: Sequence[Record], step: np.ndarray, names: list[str]
) -> None:
    """Scores on a logarithmic axis where they are positive and differ by more than a decade."""
    for name, (color, line) in look.cycled(names).items():
        values = column(history, name)
        seen = np.isfinite(values)
        ax.plot(step[seen], values[seen], line, color=color, marker="o", markersize=2.5, label=name)
    shown = np.concatenate([column(history, name) for name in names])
    shown = shown[np.isfinite(shown)]
    if shown.size and shown.min() > 0 and shown.max() > 10 * shown.min():
        ax.set_yscale("log")
        look.decades(ax.yaxis, 5)
    ax.set(ylabel="scores")
    _legend_above(ax, len(names))


def _terms(
    ax: "matplotlib.axes.Axes", history: Sequence[Record], step: np.ndarray, terms: list[str]
) -> None:
    # Solid and dashed are training and held-out losses; more than eight terms differ in width.
    for name, (color, line) in look.cycled(terms).items():
        width = {"-": 1.2, "--": 2.0, "-.": 2.8, ":": 0.6}[line]
        for prefix, style in (("loss_", "-"), ("held_out_", "--")):
            loss = column(history, prefix + name)
            label = name if prefix == "loss_" else None
            shown = np.where(loss > 0, loss, np.nan)
            ax.plot(step, shown, style, color=color, linewidth=width, label=label)
    ax.set_yscale("log")
    ax.set(ylabel="loss by term")
    look.decades(ax.yaxis, 5)
    _legend_above(ax, len(terms))


def _legend_above(ax: "matplotlib.axes.Axes", count: int) -> None:
    """The legend of a panel, above it: long names inside would cover the curves."""
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2, handlelength=1.2,
        columnspacing=1.0, ncols=min(count, 3), fontsize=7.0,
    )  # fmt: skip


def _mark_growth(ax: "matplotlib.axes.Axes", step: np.ndarray, points: np.ndarray) -> None:
    for position in step[1:][np.diff(points) > 0]:
        ax.axvline(position, color=look.GRAY, linewidth=0.6, linestyle=":", zorder=0)


def column(history: Sequence[Record], name: str) -> np.ndarray:
    """One quantity of all records; not a number where a record lacks it."""
    values = [record.get(name) for record in history]
    return np.asarray([np.nan if value is None else value for value in values], dtype=float)


def _losses(
    ax: "matplotlib.axes.Axes", history: Sequence[Record], step: np.ndarray, rejected: np.ndarray
) -> None:
    loss, label = _positive_loss(column(history, "loss"))
    ax.plot(step, loss, color=look.BLUE, label=label)
    curves = {
        "held_out_loss": (look.SKY, "-", "held-out loss"),
        "relative_l2": (look.VERMILION, "-", "relative $L^2$ error"),
        "estimated_relative_l2": (look.BLACK, "--", "estimated error"),
    }
    for name, (color, style, label) in curves.items():
        values = column(history, name)
        seen = np.isfinite(values) & (values > 0)
        if seen.any():
            dots = {"marker": "o", "markersize": 2.5} if seen.sum() < 30 else {}
            ax.plot(step[seen], values[seen], style, color=color, label=label, **dots)  # pyright: ignore
    _component_errors(ax, history, step)
    _mark(ax, step, loss, rejected, label="rejected")
    ax.set_yscale("log")
    look.decades(ax.yaxis)


def _component_errors(
    ax: "matplotlib.axes.Axes", history: Sequence[Record], step: np.ndarray
) -> None:
    names = list(dict.fromkeys(name for record in history for name in component_errors(record)))
    for name, color in zip(names, itertools.cycle(COMPONENT_COLORS)):
        values = column(history, COMPONENT + name)
        seen = np.isfinite(values) & (values > 0)
        ax.plot(step[seen], values[seen], color=color, linewidth=0.7, label=f"error of {name}")


def _damping(
    ax: "matplotlib.axes.Axes", step: np.ndarray, damping: np.ndarray, rejected: np.ndarray
) -> None:
    shown = np.where(damping > 0, damping, np.nan)
    ax.plot(step, shown, color=look.GREEN)
    _mark(ax, step, shown, rejected)
    seen = shown[np.isfinite(shown)]
    if seen.max() < 1.001 * seen.min():  # Matplotlib finds no limits around 9.999999999999999e-06
        ax.set_ylim(seen.min() / 3, seen.max() * 3)
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
