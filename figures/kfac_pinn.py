"""Held-out error on a deep network by K-FAC of residuals and others, at equal processor time."""

import numpy as np

from figures.recipes import Job, Made, recorded
from figures.recipes.processor_time import errors_by_time
from pinn_ngd import optimizers
from pinn_ngd.experiments.plotting import Curves, plot_curves, save

OPTIMIZERS = ("kfac-pinn", "engd-sub", "engd-tr", "spring", "adam")
SECONDS, MARKS, SEED = 120.0, 13, 100


def make(job: Job) -> Made:
    """Relative L2 errors on `poisson-5d-deep`, whose 3,500 points stay as they are."""
    problem = job.problem("poisson-5d-deep")
    seconds = 2.0 if job.quick else SECONDS
    marks = seconds * 2.0 ** np.linspace(-6, 0, 2 if job.quick else MARKS)
    found = {}
    for name in OPTIMIZERS[:1] if job.quick else OPTIMIZERS:
        job.tell(name)
        found[name] = errors_by_time(problem, optimizers.get(name), marks.tolist(), SEED)
        job.tell(f"{found[name][-1]}")
    curves = {
        name: ([r.seconds for r in readings], [r.error for r in readings])
        for name, readings in found.items()
    }
    panel = Curves(curves, "processor seconds", "relative $L^2$ error, held out")
    save(plot_curves([panel]), job.folder / job.name)
    results = {name: [r._asdict() for r in readings] for name, readings in found.items()}
    return recorded(job, [job.name], seeds=[SEED], results=results)
