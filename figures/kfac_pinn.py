"""Held-out error on a deep network by K-FAC of residuals and others, at equal processor time."""

from collections.abc import Sequence

import numpy as np

from figures.recipes import Job, Made, recorded
from figures.recipes.processor_time import Reading, errors_by_time
from pinn_ngd import optimizers
from pinn_ngd.experiments.plotting import Curves, plot_curves, save

OPTIMIZERS = ("kfac-pinn", "engd-sub", "engd-tr", "spring", "adam")
SECONDS, MARKS, SEEDS = 120.0, 13, range(100, 105)


def make(job: Job) -> Made:
    """Relative L2 errors on `poisson-5d-deep`, whose 3,500 points stay as they are."""
    problem = job.problem("poisson-5d-deep")
    seconds, seeds = (2.0, SEEDS[:1]) if job.quick else (SECONDS, SEEDS)
    marks = seconds * 2.0 ** np.linspace(-6, 0, 2 if job.quick else MARKS)
    found: dict[str, list[list[Reading]]] = {}
    for name in OPTIMIZERS[:1] if job.quick else OPTIMIZERS:
        found[name] = []
        for seed in seeds:
            job.tell(f"{name}, seed {seed}")
            run = errors_by_time(problem, optimizers.get(name), marks.tolist(), seed)
            job.tell(f"{run[-1].steps} steps, error {run[-1].error:.2g}")
            found[name].append(run)
    curves = {name: _curve(runs) for name, runs in found.items()}
    panel = Curves(curves, "processor seconds", "relative $L^2$ error, held out")
    save(plot_curves([panel]), job.folder / job.name)
    results = {
        name: [[reading.facts() for reading in run] for run in runs] for name, runs in found.items()
    }
    return recorded(job, [job.name], seeds=list(seeds), results=results)


def _curve(runs: Sequence[Sequence[Reading]]) -> tuple[np.ndarray, ...]:
    """Medians of time and error over the seeds, with the best and the worst error."""
    seconds = np.asarray([[reading.seconds for reading in run] for run in runs])
    errors = np.asarray([[reading.error for reading in run] for run in runs])
    return np.median(seconds, 0), np.median(errors, 0), np.min(errors, 0), np.max(errors, 0)
