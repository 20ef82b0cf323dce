"""What a Gaussian process says of a plane with two classes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...experiments.plotting.style import (
    BLACK,
    BLUE,
    FULL_WIDTH,
    VERMILION,
    few_ticks,
    new_figure,
    style,
)
from .model import GPModel

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

RESOLUTION = 101
LEVELS = np.linspace(0.0, 1.0, 11)


def plot_classes(
    model: GPModel,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    truth: Callable[[np.ndarray], np.ndarray] | None = None,
) -> "matplotlib.figure.Figure":
    """The probability of a one in the plane, and how sure the latent function is.

    Left the predictive probability with the boundary at one half, the examples `inputs` (n, 2) with
    their `targets`, and the inducing inputs; right the standard deviation of the latent function.
    `truth` gives the true probabilities of points (n, 2), whose boundary is drawn dashed.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    x, y = (np.linspace(low, high, RESOLUTION) for low, high in _ranges(inputs))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    probability, deviation = (np.asarray(a).reshape(RESOLUTION, -1) for a in _on(model, grid))
    with style():
        figure = new_figure(FULL_WIDTH, 3.2)
        left, right = figure.subplots(1, 2, sharey=True)
        filled = left.contourf(x, y, probability, levels=LEVELS, cmap="RdBu", alpha=0.7)
        figure.colorbar(filled, ax=left, ticks=LEVELS[::5])
        for label, color in ((0, VERMILION), (1, BLUE)):
            left.plot(*inputs[targets == label].T, ".", color=color, markersize=2.0)
        spread = right.contourf(x, y, deviation, levels=10, cmap="viridis")
        figure.colorbar(spread, ax=right)
        for ax in (left, right):
            _boundaries(ax, x, y, probability, truth, grid)
            ax.plot(*np.asarray(model.processes[0].points()).T, "+", color=BLACK, markersize=5)
            ax.set(xlim=x[[0, -1]], ylim=y[[0, -1]], xlabel="$x_1$")
            few_ticks(ax)
        left.set(title="probability of a one", ylabel="$x_2$")
        right.set(title="standard deviation of the latent function")
        return figure


@eqx.filter_jit
def _on(model: GPModel, grid: Any) -> tuple[Any, Any]:
    grid = jnp.asarray(grid)
    return model.predictive_mean(grid), jnp.sqrt(model.latent(grid)[1][:, 0])


def _boundaries(
    ax: "matplotlib.axes.Axes", x: np.ndarray, y: np.ndarray, probability: np.ndarray,
    truth: Callable[[np.ndarray], np.ndarray] | None, grid: np.ndarray,
) -> None:  # fmt: skip
    """One half, of the model (solid) and of the truth (dashed)."""
    ax.contour(x, y, probability, levels=[0.5], colors=BLACK, linewidths=1.2)
    if truth is not None:
        true = np.asarray(truth(grid)).reshape(probability.shape)
        ax.contour(x, y, true, levels=[0.5], colors=BLACK, linewidths=1.0,
                   linestyles="dashed")  # fmt: skip


def _ranges(inputs: np.ndarray) -> list[tuple[float, float]]:
    return [(float(column.min()), float(column.max())) for column in inputs.T]
