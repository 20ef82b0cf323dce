"""Steps to a test error on digits against the size of the batch, by momentum and by SP-NGD."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from pinn_ngd import load_problem, optimizers
from pinn_ngd.applications.data import digits
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, decades, new_figure
from pinn_ngd.optimizers.adapters import OptaxOptimizer

BATCHES = (25, 50, 100, 200, 400, 800)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
TARGET = 0.05  # 19 of 397
STEPS, BETWEEN, SEEDS = 200, 5, 3
NAMES = ("sgd", "sp-ngd")


def make(job: Job) -> Made:
    """The fewest steps over rates, which are the same for both; means over seeds."""
    batches, rates = (BATCHES[:1], RATES[:1]) if job.quick else (BATCHES, RATES)
    points, seeds = 2 if job.quick else STEPS // BETWEEN, list(job.seeds(SEEDS))
    results: list[dict[str, Any]] = []
    for size in batches:
        for name in NAMES:
            errors = _errors(name, size, rates, seeds, points)
            steps = BETWEEN * first_at(errors, TARGET)
            best = int(np.argmin(steps.mean(axis=1)))
            found = {"optimizer": name, "batch": size, "rate": rates[best]}
            results.append({**found, "steps": steps[best], "by rate": steps})
            job.tell(f"{found}: {steps[best]} steps")
    _draw(job, results)
    listed = [{k: getattr(v, "tolist", lambda v=v: v)() for k, v in r.items()} for r in results]
    return recorded(job, [job.name], seeds=seeds, results=listed)


def first_at(errors: np.ndarray, target: float) -> np.ndarray:
    """The place of the first error that is not above the target on the last axis, or infinity."""
    reached = errors <= target
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.inf)


def _errors(
    name: str, size: int, rates: tuple[float, ...], seeds: list[int], points: int
) -> np.ndarray:
    """Test errors (rate, seed, point), by one compiled program."""
    problem = load_problem("classify-digits", batch_size=size, channels=4)
    objective: Any = problem.objective
    data = digits()
    inputs, labels = jnp.asarray(data.test_inputs, jnp.float32), jnp.asarray(data.test_labels)

    def wrong(model: PyTree) -> Array:
        return jnp.mean(jnp.argmax(jax.vmap(model)(inputs), axis=1) != labels, dtype=jnp.float32)

    def one(rate: Array, seed: Array) -> Array:
        model_key, key = jax.random.split(jax.random.key(seed))
        return descent(
            _BUILT[name](rate), objective, problem.model(model_key), objective.draw, wrong,
            key=key, points=points, between=BETWEEN,
        )  # fmt: skip

    pairs = np.asarray([(rate, seed) for rate in rates for seed in seeds])
    arguments = jnp.asarray(pairs[:, 0], jnp.float32), jnp.asarray(pairs[:, 1], jnp.int32)
    found = jax.jit(lambda pairs: jax.lax.map(lambda pair: one(*pair), pairs))(arguments)
    return np.asarray(found).reshape(len(rates), len(seeds), -1)


def _momentum(rate: Array) -> OptaxOptimizer:
    return OptaxOptimizer(optax.sgd(rate, momentum=0.9))


def _natural(rate: Array) -> Any:
    """The default of `sp-ngd` but for its rate, which is no constant of the program."""
    built: Any = optimizers.get("sp-ngd", schedule="constant")
    return dataclasses.replace(built, rate=lambda _: rate)


_BUILT: dict[str, Callable[[Array], Any]] = {"sgd": _momentum, "sp-ngd": _natural}


def _draw(job: Job, results: list[dict[str, Any]]) -> None:
    strokes = cycled(NAMES)
    with plotting.style():
        figure = new_figure(plotting.COLUMN_WIDTH, 2.6)
        ax = figure.subplots()
        for name in NAMES:
            own = [r for r in results if r["optimizer"] == name and np.isfinite(r["steps"]).all()]
            sizes, steps = [r["batch"] for r in own], np.array([r["steps"] for r in own])
            if own:
                bars = [steps.mean(1) - steps.min(1), steps.max(1) - steps.mean(1)]
                ax.errorbar(sizes, steps.mean(1), bars, marker="o", markersize=3, elinewidth=0.6,
                            label=name, **strokes[name]._asdict())  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="examples in a batch")
        ax.set_ylabel(f"steps to {TARGET:.0%} of test error")
        decades(ax.xaxis)
        decades(ax.yaxis)
        ax.legend()
        plotting.save(figure, job.folder / job.name)
