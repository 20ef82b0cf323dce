"""Loss, error and damping of a run in which steps are rejected: its first steps, enlarged."""

from figures.recipes import Job, Made, recorded, run
from pinn_ngd.experiments.plotting import plot_history, save
from pinn_ngd.storage.reading import read_history


def make(job: Job) -> Made:
    """Loss, error and damping of a run in which steps are rejected: the first steps, enlarged."""
    seed, shown = 0, 25
    result = run(job, "ritz-1d", seed, job.runs / str(seed))
    history = [line for line in read_history(job.runs / str(seed)) if line["step"] <= shown]
    rejected = [line["step"] for line in history if not line["accepted"]]
    save(plot_history(history), job.folder / job.name)
    return recorded(job, [job.name], seeds=[seed], results=[result], rejected_steps=rejected)
