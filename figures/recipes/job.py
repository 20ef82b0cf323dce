"""What a recipe is given, and how it records what it made."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinn_ngd.experiments import RUNS, compare_optimizers, run_problem
from pinn_ngd.experiments.problem import Problem, load_problem
from pinn_ngd.storage.files import to_json

from .provenance import provenance

QUICK_STEPS = 5
QUICK_SETTINGS = {
    "width": 6, "points": 8, "interior": 64, "boundary": 32, "cells": 21, "shots": 2,
    "absorbing": 8, "duration": 0.3,
}  # fmt: skip

Made = list[Path]


@dataclass(frozen=True)
class Job:
    """Where a recipe puts its files, and how much it may spend."""

    name: str
    folder: Path
    quick: bool = False
    resume: bool = False
    tell: Callable[[str], None] = print
    begun: float = field(default_factory=time.perf_counter)

    @property
    def runs(self) -> Path:
        """The folder of the runs behind the pictures."""
        return RUNS / ("gallery-quick" if self.quick else "gallery") / self.name

    def seeds(self, count: int) -> range:
        """The seeds 0, 1, ...; one of them where it has to be quick."""
        return range(1 if self.quick else count)

    def budget(self, seconds: float | None = None, steps: int | None = None) -> dict[str, Any]:
        """The budget of a run as arguments of `run_problem`; None is the problem's own."""
        return {"steps": QUICK_STEPS} if self.quick else {"seconds": seconds, "steps": steps}

    def problem(self, name: str) -> Problem:
        """The shipped problem of that name; tiny where it has to be quick."""
        problem = load_problem(name)
        small = {key: value for key, value in QUICK_SETTINGS.items() if key in problem.settings}
        return load_problem(name, **small) if self.quick else problem


Recipe = Callable[[Job], Made]


def run(job: Job, name: str, seed: int, out: Path, *, pictures: bool = False) -> dict[str, Any]:
    """The result of one run of a shipped problem with its defaults."""
    job.tell(f"{name}, seed {seed}")
    result = run_problem(
        job.problem(name), seed=seed, out=out, resume=job.resume, pictures=pictures, **job.budget()
    )
    return {**result, "folder": out.name}


def compared(
    job: Job,
    problem: Problem,
    optimizers: Sequence[str],
    seeds: range,
    *,
    settings: Mapping[str, Any] | None = None,
    **budget: Any,
) -> dict[str, Any]:
    """The summary of a comparison whose runs lie in `job.runs`; its table goes to the pictures.

    Where it has to be quick, of the first and the last optimizer alone.
    """
    optimizers = [optimizers[0], optimizers[-1]] if job.quick else optimizers
    summary = compare_optimizers(
        problem, optimizers, seeds=seeds, out=job.runs, settings=settings, resume=job.resume,
        tell=job.tell, **job.budget(**budget),
    )  # fmt: skip
    shutil.copyfile(job.runs / "compare.md", job.folder / f"{job.name}.md")
    return summary


def copy(source: Path, target: Path) -> None:
    """Copy a picture in both of its formats."""
    for kind in (".png", ".pdf"):
        shutil.copyfile(source.with_name(source.name + kind), target.with_name(target.name + kind))


def recorded(job: Job, names: Sequence[str], *, pictures: bool = True, **facts: Any) -> Made:
    """Write the .json beside each picture, and list all that belongs to them.

    Among the facts are the seconds that the recipe took, unless it was resumed.
    """
    seconds = None if job.resume else time.perf_counter() - job.begun
    written, facts = [], {"seconds": seconds, **facts}
    for name in names:
        record = job.folder / f"{name}.json"
        record.write_text(
            to_json(provenance(job.name, job.quick, **facts), indent=2) + "\n", encoding="utf-8"
        )
        kinds = (".png", ".pdf") if pictures else ()
        written += [*(job.folder / f"{name}{kind}" for kind in kinds), record]
    return written
