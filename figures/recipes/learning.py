"""Training and test curves of classifiers, against epochs and seconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pinn_ngd.experiments.plotting import Curves, band, plot_curves, save
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.objectives import Shuffled
from pinn_ngd.storage.reading import read_history

from .job import Job, Made, Recipe, compared, recorded

WINDOW = 20  # steps over which the losses of minibatches are averaged
SHOWN = {
    "loss": "training loss",
    "test_nll": "test NLL",
    "train_error": "training error",
    "test_error": "test error",
}
AGAINST = ("epochs", "seconds")


def learning(
    problem: str,
    optimizers: Sequence[str],
    seeds: int,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recipe:
    """A recipe that draws loss and error of several optimizers, in training and in the test."""

    def make_pictures(job: Job) -> Made:
        chosen, loaded = job.seeds(seeds), job.problem(problem)
        epoch = _epoch(loaded)
        summary = compared(job, loaded, optimizers, chosen, settings=settings, steps=steps)
        histories = _histories(summary["runs"], job.runs, epoch)
        names = [f"{job.name}-{x}" for x in AGAINST]
        for x, name in zip(AGAINST, names, strict=True):
            save(plot_curves(_panels(histories, x), marker="", rows=2), job.folder / name)
        return recorded(job, names, seeds=list(chosen), results=summary["rows"])

    return make_pictures


def _epoch(problem: Problem) -> float:
    """Steps that see as many examples as there are."""
    batches = getattr(problem.objective, "batches", None)
    if not isinstance(batches, Shuffled):
        raise ValueError(f"{problem.name} draws from no finite set: it has no epochs to show.")
    return len(batches.targets) / batches.size


def _histories(
    runs: Sequence[Mapping[str, Any]], folder: Path, epoch: float
) -> dict[str, list[list[dict[str, Any]]]]:
    """By optimizer, for every seed: records with epochs and the mean of recent losses."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for run in runs:
        path = folder / run["folder"] / "history.jsonl"
        if not path.is_file():
            continue
        records = read_history(path)
        losses = [record["loss"] for record in records]
        recent = [float(np.mean(losses[max(i - WINDOW, 0) : i])) for i in range(1, len(losses) + 1)]
        smooth = [
            {**record, "loss": loss, "epochs": record["step"] / epoch}
            for record, loss in zip(records, recent, strict=True)
        ]
        found.setdefault(run["optimizer"], []).append(smooth)
    return found


def _panels(histories: Mapping[str, Sequence[Any]], x: str) -> list[Curves]:
    panels = []
    for y, ylabel in SHOWN.items():
        bands = {label: band(seeds, x, y) for label, seeds in histories.items()}
        curves = {k: (b.x, b.median, b.low, b.high) for k, b in bands.items() if b is not None}
        panels.append(Curves(curves, x, ylabel))
    return panels
