"""The list of everything in figures/, and the function that makes it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from .._names import choose
from ..experiments import RUNS
from .entries import (
    comparison,
    device_accuracy,
    device_algebra,
    device_damping,
    mixture_paths,
    one_run,
    posterior,
    rejected_steps,
    rounding,
    spectra_of_updates,
    times_of_steps,
)
from .job import Job, Made
from .learning import learning
from .results import results_table

FOLDER = Path("figures")
QUICK_FOLDER = RUNS / "figures-quick"
PAPER = {"momentum": 0.0, "damping": 0.01, "rate": 0.1, "schedule": "constant"}
SIGN_RATES = (0.0003, 0.001, 0.003, 0.01)
COMPARED = ("engd-tr", "engd", "engd-w", "spring", "bfgs", "lbfgs", "adam")
FIGURES: dict[str, Callable[[Job], Made]] = {
    "poisson-2d": one_run("poisson-2d"),
    "compare-poisson-2d-icml23": comparison("poisson-2d-icml23", COMPARED, seeds=3, seconds=10.0),
    "compare-heat-1d-icml23": comparison(
        "heat-1d-icml23", ("engd-tr", "engd", "adam"), seeds=3, seconds=10.0
    ),
    "heat-1d": one_run("heat-1d"),
    "ritz-1d": one_run("ritz-1d"),
    "wave-1d": one_run("wave-1d"),
    "burgers-1d": one_run("burgers-1d"),
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
    "tngd-training": learning(
        "classify-mnist-5k", ("tngd", "ngd-woodbury", "sgd", "adam:rate=0.003"), seeds=5
    ),
    "tngd-finetune": learning(
        "finetune-sentiment",
        (
            "adam:rate=0.001",
            "tngd:rate=0.03:damping=1.0",
            *(f"tngd-adam:time={t}" for t in (1, 10, 100)),
        ),
        seeds=2,
        steps=100,
        settings={"damping": 0.1, "schedule": "cosine", "decay_steps": 100},
    ),
    "tngd-time": comparison(
        "classify-digits",
        (*(f"tngd:time={t}" for t in (0, 5, 10, 20, 50)), "ngd-woodbury"),
        seeds=5,
        settings=PAPER,
    ),
    "tngd-delay": comparison(
        "classify-digits",
        (
            "tngd",
            "tngd:delay=0.2",
            "tngd:delay=1.0",
            "tngd:carry=True",
            "tngd:carry=True:delay=0.2",
            "tngd:carry=True:delay=1.0",
        ),
        seeds=5,
        settings={**PAPER, "time": 5.0},
    ),
    "tngd-noise": comparison(
        "classify-digits",
        tuple(f"tngd:noise={level}" for level in (0, 0.3, 1, 3, 10)),
        seeds=5,
        settings={**PAPER, "time": 5.0},
    ),
    "tngd-baselines": comparison(
        "classify-digits",
        (
            *(f"tngd-adam:beta1=0.0:beta2=0.0:rate={rate}" for rate in SIGN_RATES),
            *(f"signsgd:rate={rate}" for rate in SIGN_RATES),
            "tngd-adam:rate=0.003",
            "adam:rate=0.003",
            "tngd",
            "spectral-clipping:damping=1e-6",
            "sgd",
        ),
        seeds=5,
        settings={**PAPER, "time": 10.0},
        against=(),
    ),
    "tngd-bits": device_accuracy,
    "step-times": times_of_steps,
    "spu-algebra": device_algebra,
    "spu-damping": device_damping,
    "spu-rounding": rounding,
    "tngd-posterior": posterior,
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
    for name in names:
        choose(name, FIGURES, "figure")
    folder = Path(out) if out is not None else QUICK_FOLDER if quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written: Made = []
    for name in names:
        tell(f"{name} ...")
        written += FIGURES[name](Job(name, folder, quick=quick, resume=resume, tell=tell))
    return written
