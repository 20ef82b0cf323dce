"""Recipes of two kinds: one run with its pictures, and a comparison of optimizers."""

from collections.abc import Mapping, Sequence
from typing import Any

from .job import Job, Made, Recipe, compared, copy, recorded, run

# Momentum and damping are those of the published experiments with `tngd`.
PAPER = {"momentum": 0.0, "damping": 0.01, "rate": 0.1, "schedule": "constant"}


def one_run(
    problem: str, pictures: Sequence[str] = ("solution", "history"), seed: int = 0
) -> Recipe:
    """A recipe that trains a problem with its defaults and keeps some of the run's pictures."""

    def make_pictures(job: Job) -> Made:
        out = job.runs / str(seed)
        result = run(job, problem, seed, out, pictures=True)
        names = [f"{job.name}-{picture}" for picture in pictures]
        for picture, name in zip(pictures, names, strict=True):
            copy(out / picture, job.folder / name)
        return recorded(job, names, seeds=[seed], results=[result])

    return make_pictures


def comparison(
    problem: str,
    optimizers: Sequence[str],
    seeds: int,
    seconds: float | None = None,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    against: Sequence[str] = ("seconds", "steps"),
) -> Recipe:
    """A recipe that compares optimizers, against seconds, steps or solves; or in a table alone."""

    def make_pictures(job: Job) -> Made:
        chosen = job.seeds(seeds)
        summary = compared(
            job, job.problem(problem), optimizers, chosen,
            settings=settings, seconds=seconds, steps=steps,
        )  # fmt: skip
        names = [f"{job.name}-{x}" for x in against]
        for x, name in zip(against, names, strict=True):
            copy(job.runs / f"error-vs-{x}", job.folder / name)
        facts = {"seeds": list(chosen), "results": summary["rows"]}
        return recorded(job, names or [job.name], pictures=bool(names), **facts)

    return make_pictures
