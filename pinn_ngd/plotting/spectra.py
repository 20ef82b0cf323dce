"""Power by wavenumber, one curve for each of several fields."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from . import style as look

if TYPE_CHECKING:
    import matplotlib.figure


def plot_spectra(
    spectra: Mapping[str, tuple[np.ndarray, np.ndarray]], *, xlabel: str
) -> "matplotlib.figure.Figure":
    """Curves of (wavenumbers, shares) on log axes, named in a legend."""
    with look.style():
        figure = look.new_figure(look.COLUMN_WIDTH, 2.6)
        ax = figure.subplots()
        colors = look.cycle(len(spectra))
        for (label, (waves, shares)), color in zip(spectra.items(), colors, strict=True):
            ax.plot(waves, shares, color=color, label=label)
        ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel="share of the update")
        look.decades(ax.yaxis)
        ax.legend(loc="lower left")
        return figure
