"""What a step does to the function: gradient, H1 and energy natural gradient beside the error.

The direction of a step is a vector d of parameters. What it changes is the function, by the sum of
d_k times the derivative of u by the parameter k: its pushforward. Newton's method in function space
would change u by the error u - u*. The energy natural gradient is what comes nearest to that in the
inner product of the loss. The gradient is something else, and so is the natural gradient in H1, the
energy space of the equation, but not of a loss of squared residuals.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from figures.recipes import Job, Made, recorded
from pinn_ngd import gradient, load_problem
from pinn_ngd.experiments.plotting import FULL_WIDTH, Curves, plot_curves, save
from pinn_ngd.experiments.plotting.style import new_figure, style

PROBLEM, SEED = "poisson-2d-icml23", 0
STEPS, LENGTHS = 150, 0.5 ** np.arange(31)
RANK = 1e-12  # eigenvalues of a metric below this part of the largest count as zero
NAMES = ("gradient", "natural gradient, H1", "natural gradient, energy")


def make(job: Job) -> Made:
    """The pushforwards of three directions after some steps, and three trainings."""
    problem = load_problem(PROBLEM)
    views = View(problem, jax.random.key(SEED))
    steps = 5 if job.quick else STEPS
    begun = views.trained("natural gradient, energy", 3)[0]
    save(maps(views, begun), job.folder / job.name)
    curves, angles = {}, views.cosines(begun)
    for name in NAMES:
        errors = views.trained(name, steps)[1]
        curves[name] = (np.arange(len(errors)), errors)
    panel = Curves(curves, "steps", "relative L2 error", xscale="linear")
    names = [job.name, f"{job.name}-training"]
    save(plot_curves([panel], marker=""), job.folder / names[1])
    results = {"cosines": angles, "last errors": {name: y[-1] for name, (_, y) in curves.items()}}
    return recorded(job, names, seeds=[SEED], results=results)


class View:
    """A network as a vector of parameters: residuals, metrics and functions of it, compiled."""

    def __init__(self, problem: Any, key: Any):
        model = problem.model(key)
        self.start, restore = ravel_pytree(eqx.filter(model, eqx.is_inexact_array))
        _, static = eqx.partition(model, eqx.is_inexact_array)
        batch = problem.objective.batch(key)
        inside, points = batch[0], problem.evaluation.points
        weights = problem.evaluation.weights
        truth = jax.vmap(problem.exact)(points)
        self.grid = _grid(problem)

        def at(q: Any) -> Any:
            return eqx.combine(restore(q), static)

        def residuals(q: Any) -> Any:
            parts = problem.objective.evaluate(at(q), batch).right_hand_side
            return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(parts)])

        def sobolev(q: Any) -> Any:
            """Value and slope at the points inside, times the roots of their weights."""
            both = jax.vmap(lambda x: jnp.append(at(q)(x), gradient(at(q))(x)))(inside.points)
            return (jnp.sqrt(inside.weights)[:, None] * both).ravel()

        def values(q: Any, places: Any) -> Any:
            return jax.vmap(at(q))(places)

        def wrong(q: Any) -> Any:
            error = values(q, points) - truth
            return jnp.sqrt(weights @ error**2 / (weights @ truth**2))

        self.residuals, self.wrong = jax.jit(residuals), jax.jit(wrong)
        self.losses = jax.jit(jax.vmap(lambda q: jnp.sum(residuals(q) ** 2)))
        self.rows, self.sobolev = jax.jit(jax.jacfwd(residuals)), jax.jit(jax.jacfwd(sobolev))
        self.push = jax.jit(lambda q, d, x: jax.jvp(lambda p: values(p, x), (q,), (d,))[1])
        self.error = jax.jit(lambda q, x: values(q, x) - jax.vmap(problem.exact)(x))
        self.points, self.weights = points, weights

    def direction(self, name: str, q: Any) -> np.ndarray:
        """The direction of descent, up to its sign: M^+ times the gradient of the loss."""
        rows, values = np.asarray(self.rows(q)), np.asarray(self.residuals(q))
        if name == "gradient":
            return rows.T @ values
        metric = rows if name.endswith("energy") else np.asarray(self.sobolev(q))
        eigenvalues, vectors = np.linalg.eigh(metric.T @ metric)
        kept = eigenvalues > RANK * eigenvalues[-1]
        basis = vectors[:, kept]
        return basis @ ((basis.T @ (rows.T @ values)) / eigenvalues[kept])

    def trained(self, name: str, steps: int) -> tuple[Any, list[float]]:
        """Steps with the best length of a grid, as in the paper; parameters and all errors."""
        q, errors = self.start, [float(self.wrong(self.start))]
        for _ in range(steps):
            tried = q - LENGTHS[:, None] * self.direction(name, q)
            losses = np.nan_to_num(self.losses(tried), nan=np.inf)
            q = tried[np.argmin(losses)]
            errors.append(float(self.wrong(q)))
        return q, errors

    def cosines(self, q: Any) -> dict[str, float]:
        """Cosines of the angles between pushforwards and error, in L2."""

        def product(f: Any, g: Any) -> float:
            return float(self.weights @ (f * g))

        error = self.error(q, self.points)
        found = {}
        for name in NAMES:
            f = self.push(q, jnp.asarray(self.direction(name, q)), self.points)
            found[name] = product(f, error) / (product(f, f) * product(error, error)) ** 0.5
        return found


def _grid(problem: Any, count: int = 81) -> np.ndarray:
    """Equispaced points (count, count, 2) of the square."""
    axes = [
        np.linspace(a, b, count)
        for a, b in zip(problem.domain.lower, problem.domain.upper, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def maps(views: View, q: Any) -> Any:
    """The error and three pushforwards, each divided by its largest absolute value."""
    places = jnp.asarray(views.grid.reshape(-1, 2))
    shape = views.grid.shape[:2]
    angles = views.cosines(q)
    fields: dict[str, Callable[[], Any]] = {"error $u - u^*$\n": lambda: views.error(q, places)}
    for name in NAMES:
        step = jnp.asarray(views.direction(name, q))
        fields[f"{name}\ncosine {angles[name]:.2f}"] = lambda d=step: views.push(q, d, places)
    with style():
        figure = new_figure(FULL_WIDTH, 2.2)
        for ax, (title, field) in zip(figure.subplots(1, 4), fields.items(), strict=True):
            values = np.asarray(field()).reshape(shape)
            ax.imshow(
                values.T / np.abs(values).max(), origin="lower", extent=(0, 1, 0, 1),
                cmap="RdBu_r", vmin=-1, vmax=1, rasterized=True,
            )  # fmt: skip
            ax.set(title=title, xticks=(0, 1), yticks=(0, 1))
    return figure
