"""The noise of a device as a sampler: natural-gradient Langevin dynamics on a classifier."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from figures.recipes import Job, Made, recorded
from pinn_ngd import _tree, optimizers
from pinn_ngd.applications.data import digits
from pinn_ngd.evaluation.scores import calibration_error, logits_of
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.linalg import LeastSquaresSystem, solve
from pinn_ngd.optimizers.forms import gradient_of
from pinn_ngd.spu import SPU
from pinn_ngd.training import train

RATE, DAMPING, PRIOR, TIME = 0.3, 1.0, 1e-3, 1e3
BURN_IN, EVERY = 100, 5
POINTS = {"adam": {"rate": 3e-3}, "tngd": {}}


def make(job: Job) -> Made:
    """Calibration of samples that a device's noise draws: a table."""
    temperatures, samples = ((1.0,), 2) if job.quick else ((0.0, 0.01, 0.1, 1.0), 40)
    problem, seeds = job.problem("classify-digits"), job.seeds(5)
    found = posterior_scores(problem, digits(), seeds, temperatures, samples, job.tell)
    heads = ("error", "nll", "ece")
    lines = ["| method | error | NLL | calibration error |", "|---|---:|---:|---:|"]
    for name, scores in found.items():
        medians = [float(np.median([score[head] for score in scores])) for head in heads]
        lines.append(f"| {name} | " + " | ".join(f"{x:.4f}" for x in medians) + " |")
    (job.folder / f"{job.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return recorded(job, [job.name], seeds=list(seeds), results=found, pictures=False)


def langevin_step(
    objective: Any,
    model: PyTree,
    batch: PyTree,
    temperature: Array,
    key: PRNGKeyArray,
) -> PyTree:
    """theta - rate x, x the read-out of a device whose noise has strength 2 temperature / rate.

    With A = GGN + damping and g the gradient of U = mean loss + prior/2 |theta|^2, x is distributed
    as N(A^-1 g, 2 temperature / rate A^-1) after a long time, so the step is one of Langevin
    dynamics for exp(-U / temperature), preconditioned by A^-1. Temperature 1/n for n examples is
    the posterior of a Gaussian prior of precision n * prior. The drift that comes from the change
    of A is left out, and so is the noise of the batch.
    """
    system = objective.system(model, batch)
    params, _ = _tree.trainable(model)
    gradient = _tree.add(gradient_of(system), _tree.scale(PRIOR, params))
    whole = LeastSquaresSystem(system.operator, gradient=gradient, damping=DAMPING)
    device = SPU(time=TIME, temperature=2 * temperature / RATE)
    voltages = solve(whole, device, options={"key": key}).value
    return _tree.move(model, _tree.scale(RATE, voltages))


def posterior_scores(
    problem: Problem,
    data: Any,
    seeds: range,
    temperatures: Sequence[float],
    samples: int,
    tell: Callable[[str], None],
) -> dict[str, list[dict[str, float]]]:
    """Error, likelihood and calibration on the test part of `data`, by method and seed.

    Adam and `tngd` as points, and for every temperature, in units of 1/n, the mean of the
    probabilities of `samples` models of the chain that starts where `tngd` ended. Temperature 0 is
    the control: the same average without the device's noise.
    """
    found: dict[str, list[dict[str, float]]] = {}
    inputs = np.asarray(data.test_inputs, np.float32)
    labels, examples = jnp.asarray(data.test_labels), len(data.labels)

    def note(name: str, models: Sequence[Any]) -> None:
        logs = jnp.stack([jax.nn.log_softmax(logits_of(model, inputs)) for model in models])
        mean = jax.scipy.special.logsumexp(logs, axis=0) - math.log(len(models))
        found.setdefault(name, []).append(_scores(mean, labels))

    for seed in seeds:
        points = {name: _trained(problem, name, seed) for name in POINTS}
        for name, model in points.items():
            note(name, [model])
        for t in temperatures:
            start = points["tngd"]
            note(f"chain, T = {t:g}", _chain(problem, start, t / examples, samples, seed))
        tell(f"  seed {seed}: " + ", ".join(f"{k} {v[-1]['nll']:.4f}" for k, v in found.items()))
    return found


def _trained(problem: Problem, name: str, seed: int) -> Any:
    own = problem.optimizer_settings if name == problem.optimizer else {}
    settings = {**own, **POINTS[name]}
    key = jax.random.key(seed)
    optimizer = optimizers.get(name, **settings)
    model = problem.model(key)
    return train(
        problem.objective, model, optimizer, steps=problem.steps, key=jax.random.fold_in(key, 1)
    ).model


def _chain(problem: Problem, model: Any, temperature: float, samples: int, seed: int) -> list[Any]:
    step, key, kept = eqx.filter_jit(langevin_step), jax.random.key(seed), []
    strength = jnp.asarray(temperature, jnp.float32)
    for number in range(BURN_IN + EVERY * samples):
        batch = problem.objective.draw(key, number)
        model = step(problem.objective, model, batch, strength, jax.random.fold_in(key, number))
        if number >= BURN_IN and (number - BURN_IN) % EVERY == EVERY - 1:
            kept.append(model)
    return kept


def _scores(log_probabilities: Array, labels: Array) -> dict[str, float]:
    chosen = jnp.take_along_axis(log_probabilities, labels[:, None], axis=1)
    wrong = jnp.argmax(log_probabilities, axis=1).astype(labels.dtype) != labels
    return {
        "error": float(jnp.mean(wrong)),
        "nll": -float(jnp.mean(chosen)),
        "ece": float(calibration_error(log_probabilities, labels)),
    }
