"""One look for all pictures: paper widths, 9 pt type, colors that the color-blind can tell apart.

Matplotlib is imported when the first picture is made, and only its object-oriented interface is
used: making a picture leaves no trace in `pyplot` or in the reader's own settings.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage.files import write_bytes

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

COLUMN_WIDTH = 3.4  # inches: one column of a two-column paper
FULL_WIDTH = 7.0  # inches: the whole width of the text

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


def style() -> AbstractContextManager[None]:
    """The shared look, as a context in which pictures are made and saved."""
    import matplotlib

    return matplotlib.rc_context(_RC)


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


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A color for every label: that of the optimizer of this name, or the next free one."""
    labels = list(labels)
    taken = {_NAMED[label] for label in labels if label in _NAMED}
    free = [color for color in _CYCLE if color not in taken] or list(_CYCLE)
    others = [label for label in labels if label not in _NAMED]
    rest = {label: free[i % len(free)] for i, label in enumerate(others)}
    return {label: _NAMED.get(label) or rest[label] for label in labels}


def decades(axis: Any, at_most: int = 7) -> None:
    """Ticks at powers of ten, few enough to read, with the powers between them unlabeled.

    An axis that shows less than one and a half of them has ticks at 1, 2 and 5 instead.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if 0 < low < high < 32 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=99))
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_plain_numbers(value)))
        axis.set_minor_locator(LogLocator(subs=(), numticks=99))
        return
    axis.set_major_locator(LogLocator(numticks=at_most))
    axis.set_minor_locator(LogLocator(numticks=99))
    axis.set_minor_formatter(NullFormatter())


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


def cycle(count: int) -> list[str]:
    """So many colors, repeated after the eighth."""
    return [_CYCLE[i % len(_CYCLE)] for i in range(count)]
