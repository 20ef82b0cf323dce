"""Everything in figures/ and the table of the README: made by `pinn-ngd figures`, never by hand.

`FIGURES` is the manifest. Beside each picture lies a .json that says which command made it, from
which seeds and settings, with which versions and on what hardware, and with which results.
"""

import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .mixture_paths import landscapes
from .plotting import plot_history, plot_paths, plot_spectra, save
from .problem import Problem, load_problem
from .runs import RUNS, compare_optimizers, run_problem, summarize
from .training import read_history
from .training.callbacks import to_json
from .training.run_folder import environment
from .update_spectra import update_spectra

FOLDER = Path("figures")
QUICK_FOLDER = RUNS / "figures-quick"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
QUICK_STEPS = 5
QUICK_SETTINGS = {
    "width": 6, "points": 8, "interior": 64, "boundary": 32, "cells": 21, "shots": 2,
    "absorbing": 8, "duration": 0.3,
}  # fmt: skip
TABLE_PROBLEMS = (
    "poisson-2d", "poisson-2d-icml23", "heat-1d", "heat-1d-icml23", "ritz-1d", "poisson-5d",
    "poisson-5d-icml23",
)  # fmt: skip
TABLE_SEEDS = range(100, 110)  # settings were chosen on seeds from 0 on


@dataclass(frozen=True)
class Job:
    """Where an entry of the manifest puts its files, and how much it may spend."""

    name: str
    folder: Path
    quick: bool = False
    resume: bool = False
    tell: Callable[[str], None] = print

    @property
    def runs(self) -> Path:
        """The folder of the runs behind the pictures."""
        return RUNS / ("gallery-quick" if self.quick else "gallery") / self.name

    def seeds(self, count: int) -> range:
        """The seeds 0, 1, ...; two of them where it has to be quick."""
        return range(min(count, 2) if self.quick else count)

    def budget(self, seconds: float | None = None, steps: int | None = None) -> dict[str, Any]:
        """The budget of a run as arguments of `run_problem`; None is the problem's own."""
        return {"steps": QUICK_STEPS} if self.quick else {"seconds": seconds, "steps": steps}

    def problem(self, name: str) -> Problem:
        """The shipped problem of that name; tiny where it has to be quick."""
        problem = load_problem(name)
        small = {key: value for key, value in QUICK_SETTINGS.items() if key in problem.settings}
        return load_problem(name, **small) if self.quick else problem


Made = list[Path]


def one_run(problem: str, pictures: Sequence[str] = ("solution", "history"), seed: int = 0) -> Any:
    """An entry that trains a problem with its defaults and keeps some of the run's pictures."""

    def make_pictures(job: Job) -> Made:
        out = job.runs / str(seed)
        result = _run(job, problem, seed, out, pictures=True)
        names = [f"{job.name}-{picture}" for picture in pictures]
        for picture, name in zip(pictures, names, strict=True):
            _copy(out / picture, job.folder / name)
        return _recorded(job, names, seeds=[seed], results=[result])

    return make_pictures


def comparison(
    problem: str,
    optimizers: Sequence[str],
    seeds: int,
    seconds: float | None = None,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    against: Sequence[str] = ("seconds", "steps"),
) -> Any:
    """An entry that compares optimizers, against seconds, steps or solves."""

    def make_pictures(job: Job) -> Made:
        chosen = job.seeds(seeds)
        summary = compare_optimizers(
            job.problem(problem), optimizers, seeds=chosen, out=job.runs, settings=settings,
            resume=job.resume, tell=job.tell, **job.budget(seconds, steps),
        )  # fmt: skip
        names = [f"{job.name}-{x}" for x in against]
        for x, name in zip(against, names, strict=True):
            _copy(job.runs / f"error-vs-{x}", job.folder / name)
        shutil.copyfile(job.runs / "compare.md", job.folder / f"{job.name}.md")
        return _recorded(job, names, seeds=list(chosen), results=summary["rows"])

    return make_pictures


def rejected_steps(job: Job) -> Made:
    """Loss, error and damping of a run in which steps are rejected: the first steps, enlarged."""
    seed, shown = 0, 25
    result = _run(job, "ritz-1d", seed, job.runs / str(seed))
    history = [line for line in read_history(job.runs / str(seed)) if line["step"] <= shown]
    rejected = [line["step"] for line in history if not line["accepted"]]
    save(plot_history(history), job.folder / job.name)
    return _recorded(job, [job.name], seeds=[seed], results=[result], rejected_steps=rejected)


def mixture_paths(job: Job) -> Made:
    """Eight metrics on the level sets of the mixture whose first mean is free."""
    panels = landscapes(3 if job.quick else 400, 8 if job.quick else 81, job.tell)
    figure = plot_paths(panels, ("$\\mu_{1,x}$", "$\\mu_{1,y}$"), minimum=(2.3996, 1.8417))
    save(figure, job.folder / job.name)
    ends = {p.title: {k: v[-1].tolist() for k, v in p.paths.items()} for p in panels}
    return _recorded(job, [job.name], seeds=[], results=ends)


def spectra_of_updates(job: Job) -> Made:
    """What each metric changes first in a full waveform inversion."""
    problem = job.problem("fwi-camembert")
    spectra = update_spectra(problem, 2 if job.quick else 8, job.tell)
    save(plot_spectra(spectra, xlabel="wavenumber in 1/km"), job.folder / job.name)
    centers = {label: float((k * s).sum() / s.sum()) for label, (k, s) in spectra.items()}
    return _recorded(job, [job.name], seeds=[], results={"mean wavenumber": centers})


def results_table(job: Job) -> Made:
    """The table of the README: problems with their defaults, over some seeds."""
    rows, seeds = [], list(TABLE_SEEDS)[: 2 if job.quick else None]
    for problem in TABLE_PROBLEMS:
        folders = {seed: job.runs / f"{problem}-{seed}" for seed in seeds}
        runs = [_run(job, problem, seed, out) for seed, out in folders.items()]
        row = summarize(runs[0]["optimizer"], runs)
        rows.append({"problem": problem, "parameters": runs[0]["parameters"], **(row or {})})
    text = results_markdown(rows)
    path = job.folder / "results.md"
    path.write_text(text, encoding="utf-8")
    readme = job.folder.parent / "README.md"
    if not job.quick and readme.is_file():
        readme.write_text(with_table(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    return [path, *_recorded(job, ["results"], seeds=seeds, results=rows, pictures=False)]


COMPARED = ("engd-tr", "engd", "engd-w", "spring", "bfgs", "lbfgs", "adam")
FIGURES: dict[str, Callable[[Job], Made]] = {
    "poisson-2d": one_run("poisson-2d"),
    "compare-poisson-2d-icml23": comparison("poisson-2d-icml23", COMPARED, seeds=3, seconds=10.0),
    "compare-heat-1d-icml23": comparison(
        "heat-1d-icml23", ("engd-tr", "engd", "adam"), seeds=3, seconds=10.0
    ),
    "heat-1d": one_run("heat-1d"),
    "ritz-1d": one_run("ritz-1d"),
    "rejected-steps": rejected_steps,
    "mixture-paths": mixture_paths,
    "lorenz-63": one_run("lorenz-63"),
    "fwi-camembert": one_run("fwi-camembert"),
    "fwi-layered": one_run("fwi-layered"),
    "update-spectra": spectra_of_updates,
    "compare-state-metrics": comparison(
        "poisson-2d-icml23",
        ("engd-tr", "wngd:l2", "wngd:h1", "wngd:h-1", "wngd:fisher-rao", "wngd", "gd"),
        seeds=2,
        seconds=10.0,
    ),
    "poisson-state-metrics": comparison(
        "poisson-state-metrics",
        (
            "engd-tr",
            "wngd:l2",
            "wngd:h1",
            "wngd:h1-homogeneous",
            "wngd:h2",
            "wngd:h-1",
            "wngd:fisher-rao",
            "wngd:wasserstein",
            "gd",
            "lbfgs",
        ),
        seeds=1,
        steps=120,
        against=("seconds", "steps", "solves"),
    ),
    "results": results_table,
}


def make(
    names: Sequence[str],
    *,
    out: str | os.PathLike | None = None,
    quick: bool = False,
    resume: bool = False,
    tell: Callable[[str], None] = print,
) -> Made:
    """Make these entries of the manifest; returns the files that were written.

    They go to figures/, or with `quick` (tiny runs that only show that it works) to a folder of
    their own, so that a trial never replaces a picture. Raises ValueError for an unknown name.
    """
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise ValueError(f"no figure {', '.join(unknown)}; known are {', '.join(FIGURES)}.")
    folder = Path(out) if out is not None else QUICK_FOLDER if quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written: Made = []
    for name in names:
        tell(f"{name} ...")
        written += FIGURES[name](Job(name, folder, quick=quick, resume=resume, tell=tell))
    return written


def _run(job: Job, name: str, seed: int, out: Path, *, pictures: bool = False) -> dict[str, Any]:
    job.tell(f"{name}, seed {seed}")
    result = run_problem(
        job.problem(name), seed=seed, out=out, resume=job.resume, pictures=pictures, **job.budget()
    )
    return {**result, "folder": out.name}


def _copy(source: Path, target: Path) -> None:
    for kind in (".png", ".pdf"):
        shutil.copyfile(source.with_name(source.name + kind), target.with_name(target.name + kind))


def _recorded(job: Job, names: Sequence[str], *, pictures: bool = True, **facts: Any) -> Made:
    """Write the .json beside each picture, and list all that belongs to them."""
    written = []
    for name in names:
        record = job.folder / f"{name}.json"
        record.write_text(to_json(provenance(job, **facts), indent=2) + "\n", encoding="utf-8")
        kinds = (".png", ".pdf") if pictures else ()
        written += [*(job.folder / f"{name}{kind}" for kind in kinds), record]
    return written


def provenance(job: Job, **facts: Any) -> dict[str, Any]:
    """How a picture came about: command, versions, hardware, and the given facts."""
    here = environment()
    quick = ["--quick"] if job.quick else []
    return {
        "command": " ".join(["pinn-ngd", "figures", job.name, *quick]),
        "hardware": hardware(here),
        "versions": {"python": here["python"], **here["packages"]},
        **facts,
    }


def hardware(here: Mapping[str, Any]) -> str:
    """The machine in words: cores, model of the CPU, and the device that JAX ran on."""
    device = "the CPU" if here["backend"] == "cpu" else here["device"]
    return f"{here['cores']} cores of {_cpu_model()}; JAX on {device}, {here['dtype']}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def results_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of the README."""
    heads = ("problem", "parameters", "median error", "worst error", "failed", "training", "steps")
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in rows:
        cells = (
            f"`{row['problem']}`", f"{row['parameters']}", f"{row['median']:.1e}",
            f"{row['max']:.1e}", f"{row['failed']} of {row['seeds']}", f"{row['seconds']:.0f} s",
            f"{row['steps']:.0f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    command = "`pinn-ngd figures results` makes this table: relative L2 errors, default settings."
    return "\n".join([*lines, "", command]) + "\n"


def with_table(readme: str, table: str) -> str:
    """The README with what stands between its two marks replaced; unchanged where they are not."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{table}{end}{after}" if begin and end else readme
