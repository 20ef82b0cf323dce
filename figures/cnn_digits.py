"""Test error of a convolution network on 5,000 MNIST digits by K-FAC, EKFAC, SENG and SP-NGD."""

from itertools import islice
from typing import Any

import jax

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
BATCH, EPOCHS, LOOKS, SEED = 200, 10, 10, 0


def make(job: Job) -> Made:
    """Test errors against epochs and processor seconds, at constant rates, each at its best."""
    problem = load_problem("classify-mnist-5k", batch_size=BATCH, **SMALL)
    batches: Any = problem.objective
    epoch = len(batches.batches.targets) / batches.batches.size
    steps = 4 if job.quick else round(EPOCHS * epoch)
    results, curves = [], {}
    for label, rates in SWEPT.items():
        runs = []
        for rate in rates[:1] if job.quick else rates:
            runs.append({"optimizer": label, "rate": rate, **_run(problem, label, rate, steps)})
            job.tell(f"{label}, rate {rate:g}: {runs[-1]['test_error'][-1]:.3f}")
        results += runs
        best = min(runs, key=lambda run: sum(run["test_error"][-3:]))
        curves[f"{NAMES.get(label, label)}, rate {best['rate']:g}"] = best
    _draw(job, curves, epoch)
    return recorded(job, [job.name], seeds=[SEED], results=results)


def _run(problem: Problem, label: str, rate: float, steps: int) -> dict[str, list[float]]:
    """What the run measures at equal distances, the last time at its end."""
    name, settings = split_label(label)
    optimizer = optimizers.get(name, rate=rate, schedule="constant", **settings)
    model_key, key = jax.random.split(jax.random.key(SEED))
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
    return seen


def _draw(job: Job, curves: dict[str, Any], epoch: float) -> None:
    by_epochs = {
        label: ([step / epoch for step in run["steps"]], run["test_error"])
        for label, run in curves.items()
    }
    by_seconds = {label: (run["seconds"], run["test_error"]) for label, run in curves.items()}
    panels = [
        Curves(by_epochs, "epochs", "test error", xscale="linear"),
        Curves(by_seconds, "processor seconds", "test error"),
    ]
    save(plot_curves(panels, marker=""), job.folder / job.name)
