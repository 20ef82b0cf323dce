"""An ill-conditioned posterior: natural gradients of every step, and Adam at its best rate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from pinn_ngd import Shuffled, models, optimizers
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, decades, new_figure

SEED, SIZE = 7, 50
STEPS, EVERY = 5_000, 25  # of Adam, and between two of its points
NATURAL = 20
POLISH = 200  # steps of natural gradients to the best bound where it has no closed form
RATES = np.logspace(-4, 0, 9)
ADAM, EXACT = "Adam, the best rate", "natural gradients, $\\gamma = 1$"
FLOOR = 1e-10  # nats
Curve = dict[str, Any]


def make(job: Job) -> Made:
    """Nats from the best bound, for Gaussian noise and two classes, whitened and not."""
    found: dict[str, dict[str, Curve]] = {}
    for label, (likelihood, targets) in cases().items():
        for whitened in (True,) if job.quick else (True, False):
            name = f"{label}, {'whitened' if whitened else 'not whitened'}"
            job.tell(name)
            found[name] = compared(likelihood, targets, whitened, job.quick)
    draw(job, found)
    return recorded(job, [job.name], seeds=[SEED], results=found)


def inputs() -> np.ndarray:
    return np.linspace(-1, 1, SIZE)[:, None]


def cases() -> dict[str, tuple[Any, np.ndarray]]:
    """A likelihood whose parameters stay, and its observations of one smooth function."""
    rng = np.random.default_rng(SEED)
    f = np.sin(4 * inputs()[:, 0])
    noise = gp.GaussianNoise(models.Frozen(models.Positive(1e-3)))
    return {
        "Gaussian noise": (noise, f + 1e-3**0.5 * rng.normal(size=SIZE)),
        "two classes": (gp.Bernoulli(), (rng.uniform(size=SIZE) < 1 / (1 + np.exp(-4 * f))) * 1.0),
    }


def compared(likelihood: Any, targets: np.ndarray, whitened: bool, quick: bool) -> dict[str, Any]:
    """The gaps along both, how far Adam comes at each rate, and the condition of q's covariance."""
    objective = gp.EvidenceLowerBound(Shuffled(inputs(), targets))
    kernel = models.Frozen(gp.RBF(0.7))
    start = gp.GPModel(gp.VGP(kernel, inputs(), whitened=whitened, jitter=1e-6), likelihood)
    losses, best = natural(objective, start, NATURAL), polished(objective, start)
    steps = 100 if quick else STEPS
    paths = adam(objective, start, jnp.asarray(RATES), steps // EVERY)
    last = np.nan_to_num(np.asarray(paths[:, -1]), nan=np.inf)
    chosen = int(np.argmin(last))
    covariance = best.processes[0].q.covariance
    least = float(objective.loss(best, objective.batch()))
    return {
        "condition": float(np.linalg.cond(np.asarray(covariance))),
        EXACT: {"steps": list(range(NATURAL + 1)), "nats": [v - least for v in losses]},
        ADAM: {
            "steps": (EVERY * np.arange(steps // EVERY + 1)).tolist(),
            "nats": (np.asarray(paths[chosen]) - least).tolist(),
            "rate": float(RATES[chosen]),
        },
        "last by rate": {f"{r:.1e}": v - least for r, v in zip(RATES, last.tolist(), strict=True)},
    }


def natural(objective: Any, start: Any, steps: int) -> list[float]:
    """The loss at the start and after every natural-gradient step of length one."""
    return np.asarray(_natural(objective, start, steps, 1)).tolist()


def polished(objective: Any, start: Any) -> Any:
    """The model after so many steps that nothing changes."""
    batch = objective.batch()
    optimizer = optimizers.get("ngd-gp", gamma=1.0, ramp=0, other_steps=0, natural_steps=POLISH)

    @eqx.filter_jit
    def after(start: Any) -> Any:
        state = optimizer.init(start, objective, batch)
        return optimizer.step(start, state, objective, batch, key=jax.random.key(SEED))[0]

    return after(start)


@eqx.filter_jit
def _natural(objective: Any, start: Any, points: int, between: int) -> Array:
    optimizer = optimizers.get("ngd-gp", gamma=1.0, ramp=0, other_steps=0)
    return _path(optimizer, objective, start, points, between)


@eqx.filter_jit
def adam(objective: Any, start: Any, rates: Array, points: int) -> Array:
    """The losses along Adam, a row for each rate."""

    def at(rate: Array) -> Array:
        return _path(optimizers.OptaxOptimizer(optax.adam(rate)), objective, start, points, EVERY)

    return jax.vmap(at)(rates)


def _path(optimizer: Any, objective: Any, start: Any, points: int, between: int) -> Array:
    batch = objective.batch()
    return descent(
        optimizer, objective, start, lambda _key, _number: batch,
        lambda model: objective.loss(model, batch), key=jax.random.key(SEED), points=points,
        between=between,
    )  # fmt: skip


def draw(job: Job, found: dict[str, dict[str, Any]]) -> None:
    strokes = cycled((EXACT, ADAM))
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 2.9)
        axes = figure.subplots(1, len(found), sharey=True)
        for ax, (name, case) in zip(axes, found.items(), strict=True):
            for label, stroke in strokes.items():
                curve = case[label]
                steps, gaps = 1 + np.asarray(curve["steps"]), np.maximum(curve["nats"], FLOOR)
                ax.loglog(steps, gaps, label=label, **stroke._asdict())
            title = name.replace(", ", "\n")
            ax.set(title=f"{title}\ncondition {power(case['condition'])}", xlabel="steps + 1")
            decades(ax.xaxis, 4)
        axes[0].set(ylabel="nats below the best bound")
        decades(axes[0].yaxis)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        plotting.save(figure, job.folder / job.name)


def power(number: float) -> str:
    """A number with one digit, such as 3 x 10^4."""
    digit, exponent = f"{number:.0e}".split("e")
    return f"${digit} \\cdot 10^{{{int(exponent)}}}$"
