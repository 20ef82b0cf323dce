"""The Fisher matrix of four layers beside its Kronecker approximation, its inverse, and a bound."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from figures.recipes import Job, Made, recorded
from figures.recipes.layer_moments import LayerMoments, block_means, layer_moments, share_outside
from pinn_ngd import ClassificationObjective, Shuffled, optimizers, train
from pinn_ngd.applications.data import mnist_5k
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLUE, decades, new_figure
from pinn_ngd.linalg.kronecker_factors import layerwise_of
from pinn_ngd.models import MLP

SIZES = (256, 20, 20, 20, 20, 20, 10)
SHOWN = slice(1, 5)  # the middle four layers, of 420 parameters each
STEPS, SEED = 30, 0
DAMPINGS = (1.0, 0.1, 0.01, 0.001)  # of the mean of the diagonal
DRAWN = 0.01
CELLS = 420  # pixels a side of a drawn matrix
FISHER, PRODUCTS, INVERSE, OWN = "F", "K", "inverse of K", "inverse of F"


def make(job: Job) -> Made:
    """Matrices, means of their blocks, and error against bound, entry by entry."""
    moments, facts = _trained(job)
    job.tell("matrices")
    fisher, products, bound = (
        np.asarray(x) for x in (moments.fisher(), moments.approximation(), moments.bound())
    )
    error, sizes = np.abs(fisher - products), moments.sizes
    inverses = {d: _inverse(products, d) for d in DAMPINGS}
    means = {FISHER: block_means(fisher, sizes), PRODUCTS: block_means(products, sizes)}
    means[INVERSE] = block_means(inverses[DRAWN], sizes)
    outside = {FISHER: share_outside(means[FISHER], 1), PRODUCTS: share_outside(means[PRODUCTS], 1)}
    for damping, inverse in inverses.items():
        own = block_means(_inverse(fisher, damping), sizes)
        outside[f"{INVERSE}, {damping:g}"] = share_outside(block_means(inverse, sizes), 1)
        outside[f"{OWN}, {damping:g}"] = share_outside(own, 1)
    facts |= {
        "sum of |F|": float(np.abs(fisher).sum()),
        "sum of |F - K|": float(error.sum()),
        "sum of the bound": float(bound.sum()),
        "|F - K| / |F|": float(np.linalg.norm(fisher - products) / np.linalg.norm(fisher)),
        # Between two biases the bound is 0, and rounding errors are left.
        "largest |F - K| - bound, of |F|": float(np.max(error - bound) / np.abs(fisher).max()),
        "share outside of three diagonals of blocks": outside,
        "means of blocks": {name: m.tolist() for name, m in means.items()},
    }
    _draw(job, {FISHER: fisher, PRODUCTS: products}, error, bound, inverses[DRAWN], means)
    return recorded(job, [job.name], seeds=[SEED], results=facts)


def shrunk(pictures: np.ndarray, pixels: int) -> np.ndarray:
    """Square pictures (n, m, m) as (n, pixels, pixels), by means over areas."""
    m = pictures.shape[-1]
    edges = np.arange(pixels + 1) * m / pixels
    low = np.maximum(edges[:-1, None], np.arange(m))
    high = np.minimum(edges[1:, None], np.arange(m) + 1)
    shares = np.maximum(high - low, 0) * pixels / m
    return shares @ pictures @ shares.T


def _trained(job: Job) -> tuple[LayerMoments, dict[str, Any]]:
    """The moments of the middle layers after some steps of `kfac` with all examples."""
    data = mnist_5k()
    inputs, test = (
        shrunk(x[:, 0], 16).reshape(len(x), -1) for x in (data.inputs, data.test_inputs)
    )
    labels = data.labels
    if job.quick:
        inputs, labels = inputs[:50], labels[:50]
    objective = ClassificationObjective(Shuffled(inputs, labels))
    model = MLP(SIZES, key=jax.random.key(SEED), init="glorot")
    job.tell("training")
    steps, key = 2 if job.quick else STEPS, jax.random.key(SEED + 1)
    model = train(objective, model, optimizers.get("kfac"), steps=steps, key=key).model
    facts = {
        "examples": len(labels),
        "training error": _wrong(model, inputs, labels),
        "test error": _wrong(model, test, data.test_labels),
    }
    operator = objective.with_curvature("ggn").system(model, objective.batch()).operator
    return layer_moments(layerwise_of(operator).layers[SHOWN]), facts


def _wrong(model: PyTree, inputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of examples with another class than the most probable one."""
    logits = np.asarray(eqx.filter_jit(jax.vmap(model))(inputs))
    return float(np.mean(np.argmax(logits, axis=1) != labels))


def _inverse(matrix: np.ndarray, damping: float) -> np.ndarray:
    mean = np.trace(matrix) / len(matrix)
    return np.linalg.inv(matrix + damping * mean * np.eye(len(matrix)))


def _draw(
    job: Job,
    matrices: dict[str, np.ndarray],
    error: np.ndarray,
    bound: np.ndarray,
    inverse: np.ndarray,
    means: dict[str, np.ndarray],
) -> None:
    titles = ("Fisher matrix F", "Kronecker products K", "|F − K|", "bound")
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.7)
        upper, lower = figure.subplots(2, 4)
        shown = [*matrices.values(), error, bound]
        top = float(np.quantile(np.abs(shown[0]), 0.99))
        for ax, title, matrix in zip(upper, titles, shown, strict=True):
            image = _matrix(ax, matrix, title, top)
        figure.colorbar(image, ax=upper, label="absolute value", extend="max", shrink=0.8)
        _matrix(lower[0], inverse, INVERSE, float(np.quantile(np.abs(inverse), 0.99)))
        for ax, name in zip(lower[1:3], (PRODUCTS, INVERSE), strict=True):
            _blocks(ax, means[name], f"{name}: block means")
        _entries(lower[3], error, bound)
        for ax in (*upper[1:], *lower[1:3]):
            ax.set_ylabel("")
        plotting.save(figure, job.folder / job.name)


def _matrix(ax: Any, matrix: np.ndarray, title: str, top: float) -> Any:
    """Absolute values, each pixel the mean over a square of entries."""
    pixels = shrunk(np.abs(matrix)[None], min(CELLS, len(matrix)))[0]
    image = ax.imshow(pixels, cmap="Greys", vmin=0, vmax=top, interpolation="none",
                      extent=(1.5, 5.5, 5.5, 1.5))  # fmt: skip
    ax.set(title=title, xticks=range(2, 6), yticks=range(2, 6), xlabel="layer", ylabel="layer")
    ax.spines[:].set_visible(True)
    for place in (2.5, 3.5, 4.5):
        ax.axhline(place, color="0.6", linewidth=0.3)
        ax.axvline(place, color="0.6", linewidth=0.3)
    return image


def _blocks(ax: Any, means: np.ndarray, title: str) -> None:
    """Means relative to the largest, as gray and as a number."""
    relative = means / means.max()
    ax.imshow(relative, cmap="Greys", vmin=0, vmax=1, extent=(1.5, 5.5, 5.5, 1.5))
    ax.set(title=title, xticks=range(2, 6), yticks=range(2, 6), xlabel="layer", ylabel="layer")
    for (i, j), value in np.ndenumerate(relative):
        color = "white" if value > 0.5 else "black"
        ax.text(j + 2, i + 2, f"{value:.2f}", color=color, ha="center", va="center", fontsize=7)


def _entries(ax: Any, error: np.ndarray, bound: np.ndarray) -> None:
    """How many entries have which error and which bound."""
    positive = (error > 0) & (bound > 1e-6 * bound.max())
    edges = np.geomspace(bound[positive].min() / 10, bound.max(), 80)
    ax.hist2d(
        bound[positive], error[positive], bins=[edges, edges], cmap="Greys", norm="log",
        rasterized=True,
    )  # fmt: skip
    ax.plot(edges[[0, -1]], edges[[0, -1]], color=BLUE, linewidth=0.8, label="equal")
    ax.set(title="entries", xlabel="bound", ylabel="|F − K|", xscale="log", yscale="log")
    ax.set_box_aspect(1)
    decades(ax.xaxis, 4)
    decades(ax.yaxis, 4)
    ax.legend(loc="upper left")
