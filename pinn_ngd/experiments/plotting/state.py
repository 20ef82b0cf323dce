"""A state beside the data that it is fitted to."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array

from ...geometry.domains import Box, Interval
from ...geometry.grids import Grid
from . import style as look
from .solution import image_panels

if TYPE_CHECKING:
    import matplotlib.figure


def plot_state(
    grid: Grid,
    state: Array | np.ndarray,
    data: Array | np.ndarray,
    *,
    titles: tuple[str, str, str] = ("state", "data", "misfit"),
    depth: bool = False,
) -> "matplotlib.figure.Figure":
    """State, data and misfit on a grid: curves in one dimension, images in two.

    In three dimensions all are integrated over the middle axis. With `depth` the second axis points
    down. Raises ValueError beyond.
    """
    u, v = (np.asarray(field, dtype=float).reshape(grid.shape) for field in (state, data))
    lower, upper, ylabel = grid.domain.lower, grid.domain.upper, None
    if len(grid.shape) == 1:
        return _curves(grid, u, v)
    if len(grid.shape) == 3:
        u, v = (field.sum(axis=1) * grid.spacing[1] for field in (u, v))
        lower, upper, ylabel = lower[::2], upper[::2], "$z$"
    elif len(grid.shape) > 3:
        raise ValueError(f"a state in {len(grid.shape)} dimensions has no picture; give a slice.")
    figure = image_panels(u, v, Box(lower, upper), titles, ylabel="depth" if depth else ylabel)
    if depth:
        figure.axes[0].invert_yaxis()  # which all panels share
    return figure


def _curves(grid: Grid, state: np.ndarray, data: np.ndarray) -> "matplotlib.figure.Figure":
    assert isinstance(grid.domain, Interval | Box)
    with look.style():
        figure = look.new_figure(look.COLUMN_WIDTH, 2.3)
        ax = figure.subplots()
        ax.plot(grid.axes[0], data, color=look.SKY, linewidth=3.0, label="data")
        ax.plot(grid.axes[0], state, color=look.BLACK, linewidth=0.9, label="state")
        ax.set(xlabel="$x$")
        ax.legend(loc="best")
        return figure
