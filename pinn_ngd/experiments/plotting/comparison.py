"""Errors of several optimizers, over several seeds, against seconds, steps or solves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._names import choose
from . import style as look
from .history import Record, column

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Runs = Mapping[str, Sequence[Sequence[Record]]]
GRID_POINTS = 300
LABELS = {
    "seconds": "training time in seconds",
    "step": "step",
    "solves": "forward, linearized and adjoint solves",
}
MEASURES = {"relative_l2": "relative L2 error", "test_error": "test error", "loss": "loss"}
_MATH = {"relative_l2": "relative $L^2$ error"}
SOLVES = ("forward_solves", "linearized_solves", "adjoint_solves")


class Band(NamedTuple):
    """Median, smallest and largest error over the seeds, at increasing x."""

    x: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


def plot_comparison(
    runs: Runs,
    x: str = "seconds",
    *,
    y: str = "relative_l2",
    width: float = look.COLUMN_WIDTH,
) -> "matplotlib.figure.Figure":
    """Error against seconds, steps or solves, on log axes: median over the seeds, band from the
    best to the worst seed.

    `runs` gives for every label (an optimizer's name) the histories of its seeds. Between two
    evaluations a history is interpolated in the logarithms; after its end it keeps its last error,
    as the model does. Raises ValueError for another `x`, or where no history has an error.
    """
    choose(x, LABELS, "`x`")
    bands = {label: band(histories, x, y) for label, histories in runs.items()}
    shown = {label: b for label, b in bands.items() if b is not None}
    if not shown:
        raise ValueError(f"no history has both {x!r} and a positive {y!r}: nothing to draw.")
    with look.style():
        figure = look.new_figure(width, 0.5 * width + 0.9 if width < 5 else 3.4)
        ax = figure.subplots()
        ax.set(
            xscale="log", yscale="log", xlabel=LABELS[x], ylabel=_MATH.get(y, MEASURES.get(y, y))
        )
        strokes = look.strokes(runs)
        for label, b in shown.items():
            color, line = strokes[label]
            ax.fill_between(b.x, b.low, b.high, color=color, alpha=0.18, linewidth=0)
            ax.plot(b.x, b.median, color=color, linestyle=line)
        _frame(ax, shown)
        _label_ends(figure, ax, shown, strokes)
        return figure


def band(histories: Sequence[Sequence[Record]], x: str, y: str = "relative_l2") -> Band | None:
    """Median and extremes over the histories on a common grid of x; None where there is no data."""
    curves = [curve for curve in (_curve(history, x, y) for history in histories) if curve]
    if not curves:
        return None
    begin = max(xs[0] for xs, _ in curves)  # from here on every seed has a value
    end = max(xs[-1] for xs, _ in curves)
    grid = np.geomspace(begin, max(end, begin * 1.1), GRID_POINTS)
    errors = np.stack([_interpolate(grid, *curve) for curve in curves])
    return Band(grid, np.median(errors, 0), errors.min(0), errors.max(0))


def _curve(history: Sequence[Record], x: str, y: str) -> tuple[np.ndarray, np.ndarray] | None:
    xs = _solves(history) if x == "solves" else column(history, x)
    ys = column(history, y)
    good = np.isfinite(xs) & np.isfinite(ys) & (xs > 0) & (ys > 0)
    return (xs[good], ys[good]) if good.any() else None


def _solves(history: Sequence[Record]) -> np.ndarray:
    """All solves up to each line; not a number where an optimizer does not count them."""
    return np.sum([column(history, name) for name in SOLVES], axis=0)


def _interpolate(grid: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    return np.exp(np.interp(np.log(grid), np.log(xs), np.log(ys)))


def _frame(ax: "matplotlib.axes.Axes", bands: Mapping[str, Band]) -> None:
    low = min(float(b.low.min()) for b in bands.values())
    high = max(float(b.high.max()) for b in bands.values())
    ax.set_ylim(low / 2, high * 2)
    ax.set_xlim(min(b.x[0] for b in bands.values()), max(b.x[-1] for b in bands.values()))
    look.decades(ax.xaxis)
    look.decades(ax.yaxis)
    ax.grid(visible=True, which="major", color="#dddddd", linewidth=0.4)
    ax.set_axisbelow(True)


def _label_ends(
    figure: "matplotlib.figure.Figure",
    ax: "matplotlib.axes.Axes",
    bands: Mapping[str, Band],
    strokes: Mapping[str, look.Stroke],
) -> None:
    """Names to the right of the axes, at the height where the curves end, moved apart."""
    bottom, top = np.log(ax.get_ylim())
    labels = sorted(bands, key=lambda label: bands[label].median[-1])
    ends = [(np.log(bands[label].median[-1]) - bottom) / (top - bottom) for label in labels]
    width, height = figure.get_size_inches()
    aside = 1.0 + 0.14 / (0.75 * width)  # 0.14 inches: the axes fill about 3/4 of the figure
    for label, end, y in zip(labels, ends, spread(np.asarray(ends), 0.2 / height), strict=True):
        color = strokes[label].color
        _lead_out(ax, bands[label], color)
        ax.annotate(
            label, xy=(1.0, end), xytext=(aside, y), xycoords="axes fraction", va="center",
            textcoords="axes fraction", fontsize=8.0, color=color,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.5,
                        "shrinkA": 1.0, "shrinkB": 0.0, "relpos": (0.0, 0.5)},
        )  # fmt: skip


def _lead_out(ax: "matplotlib.axes.Axes", band: Band, color: str) -> None:
    """A dot where a curve ends, and from there a dotted line to the edge."""
    x, y = band.x[-1], band.median[-1]
    ax.plot(x, y, marker="o", markersize=2.4, color=color, clip_on=False)
    ax.plot([x, ax.get_xlim()[1]], [y, y], linestyle=":", linewidth=0.6, color=color)


def spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Positions at least `gap` apart, in the same order, as near the given ones as need be.

    Neighbors that are too close form a block around their mean (isotonic regression of the
    positions less i * gap, by pooling adjacent violators), kept inside [0, 1].
    """
    blocks: list[tuple[float, int]] = []
    for value in np.asarray(positions, dtype=float) - gap * np.arange(len(positions)):
        mean, count = float(value), 1
        while blocks and blocks[-1][0] >= mean:
            other, size = blocks.pop()
            mean, count = (other * size + mean * count) / (size + count), size + count
        blocks.append((mean, count))
    pooled = np.concatenate([np.full(count, mean) for mean, count in blocks])
    ceiling = max(1.0 - gap * (len(positions) - 1), 0.0)
    return np.clip(pooled, 0.0, ceiling) + gap * np.arange(len(positions))
