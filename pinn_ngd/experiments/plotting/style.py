"""One look for all pictures: paper widths, 9 pt type, colors that the color-blind can tell apart.

Matplotlib is imported when the first picture is made, and only its object-oriented interface is
used: making a picture leaves no trace in `pyplot` or in the reader's own settings.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...storage.files import write_bytes

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

COLUMN_WIDTH = 3.4  # inches: one column of a two-column paper
FULL_WIDTH = 7.0  # inches: the whole width of the text
TALLEST = 9.0  # inches: a page of a paper

_RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "axes.grid": False,
    "axes.formatter.use_mathtext": True,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # TrueType: journals refuse Matplotlib's default Type 3
}

# Okabe and Ito (2008), without the yellow that vanishes on white; fixed for the named optimizers,
# so that a method has one color in every picture.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GRAY = "#E69F00", "#56B4E9", "#000000", "#808080"
_NAMED = {
    "engd-tr": BLUE,
    "engd": VERMILION,
    "engd-w": GREEN,
    "spring": PURPLE,
    "bfgs": ORANGE,
    "lbfgs": SKY,
    "adam": GRAY,
    "scipy-lm": BLACK,
}
_CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GRAY, BLACK)
_LINES = ("-", "--", "-.", ":")
_DIGITS = ((1, 2, 5), tuple(range(1, 10)))


def style() -> AbstractContextManager[None]:
    """The shared look, as a context in which pictures are made and saved."""
    import matplotlib

    return matplotlib.rc_context(_RC)


def legend_columns(labels: Iterable[str], width: float) -> int:
    """How many of the labels stand side by side in a legend of so many inches."""
    labels = list(labels)
    longest = 0.5 + 0.058 * max(map(len, labels), default=0)  # handle and gap, and 8 pt type
    fitting = max(1, int(width / longest))
    rows = math.ceil(len(labels) / fitting)
    return math.ceil(len(labels) / max(1, rows))  # rows of about the same length


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """An empty figure of so many inches that arranges its parts itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: "matplotlib.figure.Figure", path: str | os.PathLike) -> list[Path]:
    """Write the figure as PNG (200 dpi) and PDF beside each other; `path` needs no suffix.

    Returns the two paths; each file is written whole or not at all. Nothing in them
    depends on the time of day.
    """
    path = Path(path)
    base = path.with_suffix("") if path.suffix in (".png", ".pdf") else path
    written = [base.with_name(f"{base.name}.{kind}") for kind in ("png", "pdf")]
    with style():
        write_bytes(written[0], lambda file: figure.savefig(file, format="png"))
        metadata = {"CreationDate": None}
        write_bytes(written[1], lambda file: figure.savefig(file, format="pdf", metadata=metadata))
    return written


class Stroke(NamedTuple):
    """How a curve is drawn: in a figure no two curves have the same color and line style."""

    color: str
    linestyle: str


def cycled(labels: Iterable[str]) -> dict[str, Stroke]:
    """A stroke for every label, in the order of the colors, whatever their names."""
    return _shared_out(labels, {})


def strokes(labels: Iterable[str]) -> dict[str, Stroke]:
    """A stroke for every label, none twice: an optimizer's own color, or the next free one.

    The first eight have colors of their own and solid lines; then lines are dashed, dash-dotted and
    dotted, and the colors come again. Raises ValueError beyond 32 labels.
    """
    return _shared_out(labels, _NAMED)


def _shared_out(labels: Iterable[str], named: Mapping[str, str]) -> dict[str, Stroke]:
    labels = list(dict.fromkeys(labels))
    found = {label: Stroke(named[label], "-") for label in labels if label in named}
    others = [label for label in labels if label not in found]
    taken = set(found.values())
    every = (Stroke(color, line) for line in _LINES for color in _CYCLE)
    free = [stroke for stroke in every if stroke not in taken]
    if len(others) > len(free):
        raise ValueError(f"{len(labels)} curves are too many for one picture: draw at most 32.")
    return found | dict(zip(others, free, strict=False))


def decades(axis: Any, at_most: int = 7) -> None:
    """Ticks at powers of ten, few enough to read, with the powers between them unlabeled.

    An axis that shows fewer than two of them, or less than one and a half, has ticks at 1, 2 and 5
    or all digits instead, or evenly spaced ones: two are labeled at least.
    """
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
    )

    low, high = axis.get_view_interval()
    if 0 < low < high and (high < 32 * low or len(_between(low, high, (1,))) < 2):
        digits = next((d for d in _DIGITS if len(_between(low, high, d)) > 1), None)
        even = MaxNLocator(4).tick_values(low, high) if digits is None else ()
        steps = LogLocator(subs=digits or (1,), numticks=99) if digits else FixedLocator(even)
        axis.set_major_locator(steps)
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_plain_numbers(value)))
        axis.set_minor_locator(LogLocator(subs=(), numticks=99))
        return
    axis.set_major_locator(LogLocator(numticks=at_most))
    axis.set_minor_locator(LogLocator(numticks=99))
    axis.set_minor_formatter(NullFormatter())


def _between(low: float, high: float, digits: Sequence[int]) -> list[float]:
    """The numbers of one of these digits and a power of ten from low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [d * 10.0**n for n in powers for d in digits if low <= d * 10.0**n <= high]


def whole_steps(axis: Any) -> None:
    """Ticks at whole numbers: there is no step between two."""
    axis.get_major_locator().set_params(integer=True)


def in_plain_numbers(value: float) -> str:
    """A coordinate as one writes it by hand, with a minus and not a hyphen: 0.5, 1, −3.25."""
    return f"{value:.6g}".replace("-", "−")


def few_ticks(axes: "matplotlib.axes.Axes") -> None:
    """At most five ticks on each axis, written as 0.5 and not as 0.50."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_plain_numbers(value)))


def hide_spines(axes: "matplotlib.axes.Axes") -> None:
    """No frame: for panels that are filled to their edges."""
    for spine in axes.spines.values():
        spine.set_visible(False)
