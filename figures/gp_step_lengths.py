"""The best length of a natural-gradient step, by coordinates and likelihood, found by search."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from pinn_ngd import Shuffled
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, decades, new_figure
from pinn_ngd.metrics.normal import COORDINATES, expectation_gradient, is_proper
from pinn_ngd.models import MultivariateNormal

SEED, SIZE, STEPS = 5, 40, 20
VARIANCES = (4.0, 0.25)  # of f, and of the logarithm of the noise where that is a function too
LENGTHS = np.logspace(-3.5, 0.5, 161)
ROUNDING = 1e-7  # nats: nearer to the optimum no length is better than another
SHOWN = ("natural", "expectation", "mean-covariance", "mean-cholesky", "mean-log-cholesky")
Path = dict[str, list[float]]
Normals = list[MultivariateNormal]


def make(job: Job) -> Made:
    """Every step of every path takes the best of 161 lengths from 3e-4 to 3."""
    steps = 2 if job.quick else STEPS
    shown = SHOWN[:2] if job.quick else SHOWN
    paths: dict[str, dict[str, Path]] = {}
    for label, (likelihood, targets) in cases().items():
        paths[label] = {}
        for name in shown:
            job.tell(f"{label}, {name}")
            paths[label][name] = searched(likelihood, targets, name, steps)
    draw(job, paths)
    return recorded(job, [job.name], seeds=[SEED], results=paths)


def inputs() -> np.ndarray:
    return np.linspace(-3, 3, SIZE)[:, None]


def cases() -> dict[str, tuple[Any, np.ndarray]]:
    """A likelihood, and observations of 2 sin(2 x) drawn from it."""
    rng = np.random.default_rng(SEED)
    f = 2 * np.sin(2 * inputs()[:, 0])
    return {
        "Gaussian": (gp.GaussianNoise(0.1), f + 0.1**0.5 * rng.normal(size=SIZE)),
        "Bernoulli": (gp.Bernoulli(), (rng.uniform(size=SIZE) < 1 / (1 + np.exp(-f))) * 1.0),
        "Poisson": (gp.Poisson(), rng.poisson(np.exp(f)) * 1.0),
        "Student-t": (gp.StudentT(0.2, 3.0), f + 0.2 * rng.standard_t(3, size=SIZE)),
        "heteroskedastic": (
            gp.HeteroskedasticGaussian(), f + np.exp(f / 2 - 1) * rng.normal(size=SIZE)
        ),
    }  # fmt: skip


def searched(likelihood: Any, targets: np.ndarray, name: str, steps: int) -> Path:
    """The best lengths along a path from the prior, and the losses before its steps.

    Where a likelihood has two latent functions both move by one length.
    """
    objective = gp.EvidenceLowerBound(Shuffled(inputs(), targets))
    batch, coordinates = objective.batch(), COORDINATES[name]
    processes = [
        gp.VGP(gp.RBF(1.0, variance), inputs(), jitter=1e-6)
        for variance in VARIANCES[: likelihood.latents]
    ]

    def loss(qs: Normals) -> Any:
        moved = [eqx.tree_at(lambda p: p.q, one, q) for one, q in zip(processes, qs, strict=True)]
        return objective.loss(gp.GPModel(moved, likelihood), batch)

    @jax.jit
    def step(qs: Normals) -> Any:
        value, gradients = jax.value_and_grad(loss)(qs)
        changes = [
            coordinates.direction(q, expectation_gradient(q, g))
            for q, g in zip(qs, gradients, strict=True)
        ]

        def at(length: Any) -> Normals:
            start = [coordinates.of(q) for q in qs]
            moved = jax.tree.map(lambda z, d: z - length * d, start, changes)
            return [coordinates.back(one) for one in moved]

        def judged(length: Any) -> Any:
            found = at(length)
            value = loss(found)
            proper = jnp.all(jnp.stack([is_proper(q) for q in found]))
            return jnp.where(proper & jnp.isfinite(value), value, jnp.inf)

        best = jnp.asarray(LENGTHS)[jnp.argmin(jax.lax.map(judged, jnp.asarray(LENGTHS)))]
        return at(best), value, best

    qs, path = [process.q for process in processes], {"length": [], "loss": []}
    for _ in range(steps):
        qs, value, best = step(qs)
        path["loss"].append(float(value))
        path["length"].append(float(best))
    path["loss"].append(float(loss(qs)))
    return path


def draw(job: Job, paths: dict[str, dict[str, Path]]) -> None:
    """A column a likelihood: the best lengths, and the distance from the lowest loss of all."""
    strokes = cycled(SHOWN)
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 4.0)
        axes = figure.subplots(2, len(paths), sharex=True, sharey="row")
        for column, (label, found) in zip(axes.T, paths.items(), strict=True):
            least = min(path["loss"][-1] for path in found.values())
            for name, path in found.items():
                stroke = strokes[name]._asdict()
                gap = np.maximum(np.asarray(path["loss"]) - least, 1e-10)
                lengths = np.where(gap[:-1] > ROUNDING, path["length"], np.nan)
                column[0].plot(lengths, marker=".", markersize=4, label=name, **stroke)
                column[1].plot(gap, **stroke)
            column[0].axhline(1, color="0.6", linewidth=0.6, zorder=0)
            column[0].set(title=label, yscale="log")
            column[1].set(xlabel="steps", yscale="log")
        axes[0, 0].set(ylabel="best length $\\gamma$")
        axes[1, 0].set(ylabel="nats above the least loss")
        for ax in axes[:, 0]:
            decades(ax.yaxis)
        handles = axes[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=len(SHOWN))
        plotting.save(figure, job.folder / job.name)
