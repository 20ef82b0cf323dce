"""Test error of a convolution network on 5,000 MNIST digits by K-FAC, EKFAC, SENG and SP-NGD."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import jax
import numpy as np

from figures.recipes import Job, Made, recorded
from figures.recipes.processor_time import iterates
from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments.comparison import split_label
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.experiments.problem import Problem

# Each with its rates; the other settings are the defaults.
SWEPT = {
    "kfac": (0.3, 1.0),
    "ekfac": (0.3, 1.0),
    "seng": (0.05, 0.15, 0.5),
    "sp-ngd": (0.015, 0.05),
    "adam": (0.001, 0.003, 0.01, 0.03),
    "sgd:nesterov=True": (0.03, 0.1, 0.3, 1.0),
}
NAMES = {"sgd:nesterov=True": "Nesterov"}
SMALL = {"channels": 4, "width": 32}  # 18,898 parameters
BATCH, EPOCHS, LOOKS, SEEDS = 200, 10, 10, 1

Runs = list[dict[str, Any]]  # of one optimizer and rate, one for each seed


def make(job: Job) -> Made:
    """Test errors against epochs and processor seconds, at constant rates, each at its best."""
    problem = load_problem("classify-mnist-5k", batch_size=BATCH, **SMALL)
    batches: Any = problem.objective
    epoch = len(batches.batches.targets) / batches.batches.size
    steps = 4 if job.quick else round(EPOCHS * epoch)
    results: Runs = []
    best: dict[str, Runs] = {}
    for label, rates in SWEPT.items():
        swept = []
        for rate in rates[:1] if job.quick else rates:
            swept.append([_run(problem, label, rate, steps, seed) for seed in job.seeds(SEEDS)])
            job.tell(f"{label}, rate {rate:g}: {final_error(swept[-1]):.3f}")
        results += [run for runs in swept for run in runs]
        chosen = min(swept, key=final_error)
        best[f"{NAMES.get(label, label)}, rate {chosen[0]['rate']:g}"] = chosen
    _draw(job, best, epoch)
    return recorded(job, [job.name], seeds=list(job.seeds(SEEDS)), results=results)


def final_error(runs: Sequence[Mapping[str, Any]]) -> float:
    """The median over the seeds of the mean test error of the last three looks."""
    return float(np.median([np.mean(run["test_error"][-3:]) for run in runs]))


def _run(problem: Problem, label: str, rate: float, steps: int, seed: int) -> dict[str, Any]:
    """What the run measures at equal distances, the last time at its end."""
    name, settings = split_label(label)
    optimizer = optimizers.get(name, rate=rate, schedule="constant", **settings)
    model_key, key = jax.random.split(jax.random.key(seed))
    objective, every = problem.objective, max(1, steps // LOOKS)
    run = iterates(
        objective, optimizer, problem.model(model_key), lambda k: objective.draw(key, k), key
    )
    seen: dict[str, list[float]] = {"steps": [], "seconds": [], "test_error": [], "train_error": []}
    for now in islice(run, steps):
        if (steps - now.steps) % every == 0:
            scores = problem.scores(now.model) if problem.scores else {}
            for measure in ("test_error", "train_error"):
                seen[measure].append(float(scores[measure]))
            seen["steps"].append(now.steps)
            seen["seconds"].append(now.seconds)
    return {"optimizer": label, "rate": rate, "seed": seed, **seen}


def _draw(job: Job, best: Mapping[str, Runs], epoch: float) -> None:
    by_epochs, by_seconds = {}, {}
    for label, runs in best.items():
        errors = np.asarray([run["test_error"] for run in runs])
        band = np.median(errors, 0), np.min(errors, 0), np.max(errors, 0)
        by_epochs[label] = (np.asarray(runs[0]["steps"]) / epoch, *band)
        by_seconds[label] = (np.median([run["seconds"] for run in runs], 0), *band)
    panels = [
        Curves(by_epochs, "epochs", "test error", xscale="linear"),
        Curves(by_seconds, "processor seconds", "test error"),
    ]
    save(plot_curves(panels, marker=""), job.folder / job.name)
