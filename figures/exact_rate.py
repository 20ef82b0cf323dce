"""Exact natural gradients: outputs that move straight, and residuals that fall by one factor."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from figures.recipes import Job, Made, recorded
from pinn_ngd import Points, Residual, ResidualObjective, load_problem, optimizers
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, new_figure
from pinn_ngd.linalg import kernel_matrix
from pinn_ngd.objectives import AbstractObjective
from pinn_ngd.optimizers import AbstractOptimizer

RATE, SEED = 0.5, 0
DIGITS, HIDDEN = 3, 4096  # digits of each of the two classes
WIDTHS = (64, 512, 4096)
ROWS, INPUTS, STEPS = 50, 10, 12
TANH_WIDTHS = (14, 28, 56)
POINTS = 8  # a side: 96 residuals


class TwoLayers(eqx.Module):
    """A relu(W x) / sqrt(m) with m hidden units."""

    first: Array
    second: Array

    def __init__(self, inputs: int, width: int, outputs: int, key: Array):
        one, two = jax.random.split(key)
        self.first = jax.random.normal(one, (width, inputs))
        self.second = jax.random.normal(two, (outputs, width))

    def __call__(self, x: Array) -> Array:
        return self.second @ jax.nn.relu(self.first @ x) / self.second.shape[1] ** 0.5


def make(job: Job) -> Made:
    """Three panels: paths of outputs in the plane, the rate by width, the rate on an equation."""
    paths, targets = _paths(job)
    networks = _by_width(job)
    equation = _on_an_equation(job)
    _draw(job, paths, targets, networks, equation)
    results = {"paths": paths, "targets": targets, "networks": networks, "equation": equation}
    return recorded(job, [job.name], seeds=[SEED], results=results)


def regression(inputs: np.ndarray, targets: np.ndarray) -> ResidualObjective:
    """1/2 sum |u(x_i) - y_i|^2."""
    data = Points(inputs, weights=np.ones(len(inputs)), values=targets)
    return ResidualObjective([Residual(lambda u, x, *, value: u(x) - value, data)])


def random_data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """50 inputs of unit length in ten dimensions, and normal targets."""
    inputs = np.random.default_rng(seed).standard_normal((ROWS, INPUTS))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    return inputs, np.random.default_rng(seed + 1).standard_normal((ROWS, 1))


def ignored(model: PyTree) -> None:
    """For iterates of which nothing but the residual is wanted."""
    del model


def iterates(
    objective: AbstractObjective,
    model: PyTree,
    optimizer: AbstractOptimizer,
    steps: int,
    told: Callable[[PyTree], None] = ignored,
) -> list[float]:
    """Norms of the residual relative to the first; `told(model)` is called with every iterate."""
    batch = objective.batch(jax.random.key(SEED))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(
        lambda m, s: optimizer.step(m, s, objective, batch, key=jax.random.key(SEED))
    )
    loss = eqx.filter_jit(objective.loss)
    losses = [float(loss(model, batch))]
    told(model)
    for _ in range(steps):
        model, state, _ = step(model, state)
        losses.append(float(loss(model, batch)))
        told(model)
    return [float((loss / losses[0]) ** 0.5) for loss in losses]


def _paths(job: Job) -> tuple[dict[str, list], list]:
    """Outputs (step, example, 2) for digits of two classes; targets as Zhang and others draw them:
    the one-hot label - 0.5 + 0.3 N(0, I)."""
    images, labels = _two_classes()
    rng = np.random.default_rng(SEED)
    targets = np.eye(2)[labels] - 0.5 + 0.3 * rng.standard_normal((len(labels), 2))
    objective = regression(images, targets)
    model = TwoLayers(images.shape[1], 64 if job.quick else HIDDEN, 2, jax.random.key(SEED))
    largest = largest_eigenvalue(objective, model)
    ways: dict[str, tuple[AbstractOptimizer, int]] = {
        "natural gradient": (optimizers.get("ngd-exact", rate=0.1), 5 if job.quick else 60),
        "gradient descent": (
            optimizers.get("sgd", rate=1 / largest, momentum=0.0), 5 if job.quick else 400,
        ),
    }  # fmt: skip
    outputs: Callable[[PyTree], Any] = eqx.filter_jit(lambda m: jax.vmap(m)(jnp.asarray(images)))
    paths: dict[str, list] = {}
    for name, (optimizer, steps) in ways.items():
        job.tell(f"outputs by {name}")
        seen: list = []

        def told(model: PyTree, seen: list = seen) -> None:
            seen.append(outputs(model).tolist())

        iterates(objective, model, optimizer, steps, told)
        paths[name] = seen
    return paths, targets.tolist()


def _two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Images of the digits 4 and 9, of unit length, and 0 and 1."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    chosen = [i for digit in (4, 9) for i in np.flatnonzero(data.target == digit)[:DIGITS]]
    images = data.data[chosen] / np.linalg.norm(data.data[chosen], axis=1, keepdims=True)
    return images, (data.target[chosen] == 9).astype(int)


def kernel(objective: AbstractObjective, model: PyTree) -> tuple[np.ndarray, np.ndarray]:
    """J J^T at the model, and its residual."""
    system = objective.system(model, objective.batch(jax.random.key(SEED)))
    residual = jnp.concatenate([jnp.ravel(r) for r in jax.tree.leaves(system.target)])
    return np.asarray(kernel_matrix(system.operator)), np.asarray(residual)


def largest_eigenvalue(objective: AbstractObjective, model: PyTree) -> float:
    return float(np.linalg.eigvalsh(kernel(objective, model)[0])[-1])


def _by_width(job: Job) -> dict[str, list[float]]:
    """The residual against steps, in networks of growing width, and by layer."""
    objective = regression(*random_data(SEED))
    found = {}
    for width in WIDTHS[:1] if job.quick else WIDTHS:
        job.tell(f"relu network of width {width}")
        model = TwoLayers(INPUTS, width, 1, jax.random.key(SEED))
        exact = optimizers.get("ngd-exact", rate=RATE)
        found[f"width {width}"] = iterates(objective, model, exact, STEPS)
    by_layer = optimizers.get("ngd-exact", rate=RATE, by_layer=True)
    found[f"width {width}, by layer"] = iterates(objective, model, by_layer, STEPS)
    slow = optimizers.get("sgd", rate=1 / largest_eigenvalue(objective, model), momentum=0.0)
    found["gradient descent"] = iterates(objective, model, slow, STEPS)
    return found


def _on_an_equation(job: Job) -> dict[str, list[float]]:
    """The same on `poisson-2d` with few points, where the theory's conditions do not hold."""
    found = {}
    for width in TANH_WIDTHS[:1] if job.quick else TANH_WIDTHS:
        job.tell(f"poisson-2d, width {width}")
        problem = load_problem("poisson-2d", width=width, points=POINTS)
        model = problem.model(jax.random.key(SEED))
        exact = optimizers.get("ngd-exact", rate=RATE)
        found[f"width {width}"] = iterates(problem.objective, model, exact, STEPS)
    return found


def _draw(job: Job, paths: dict, targets: list, networks: dict, equation: dict) -> None:
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 2.7)
        axes = figure.subplots(1, 3)
        for (name, seen), stroke in zip(paths.items(), cycled(paths).values(), strict=True):
            for example, path in enumerate(np.moveaxis(np.asarray(seen), 1, 0)):
                label = name if example == 0 else None
                axes[0].plot(path[:, 0], path[:, 1], label=label, **stroke._asdict())
        axes[0].plot(*np.transpose(targets), "k*", markersize=6, label="targets")
        axes[0].set(title="outputs for six digits", xlabel="output 1", ylabel="output 2")
        for ax, curves, title in (
            (axes[1], networks, "relu network, 50 targets"),
            (axes[2], equation, "poisson-2d, 96 residuals"),
        ):
            strokes = cycled(curves)
            for name, values in curves.items():
                ax.semilogy(values, label=name, **strokes[name]._asdict())
            steps = np.arange(STEPS + 1)
            ax.semilogy(steps, (1 - RATE) ** steps, "k:", label=f"(1 - {RATE:g})^k")
            ax.set(title=title, xlabel="steps k", ylabel="|r| / |r at the start|")
        for ax in axes:
            ax.legend(fontsize=6)
        plotting.save(figure, job.folder / job.name)
