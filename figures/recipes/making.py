"""The function that makes figures by the names of their recipes."""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pinn_ngd.experiments import RUNS

from .job import Job, Made, Recipe

FOLDER = Path("figures")
QUICK_FOLDER = RUNS / "figures-quick"


def recipe(name: str) -> Recipe:
    """The function `make` of `figures/NAME.py`, with underscores for the dashes of the name."""
    return importlib.import_module(f"figures.{name.replace('-', '_')}").make


def make(
    names: Sequence[str],
    *,
    out: str | os.PathLike | None = None,
    quick: bool = False,
    resume: bool = False,
    tell: Callable[[str], None] = print,
) -> Made:
    """Make these figures; returns the files that were written.

    They go to figures/, or with `quick` (tiny runs that only show that it works) to a folder of
    their own, so that a trial never replaces a picture. Raises ModuleNotFoundError for a name that
    has no recipe.
    """
    recipes = {name: recipe(name) for name in names}
    folder = Path(out) if out is not None else QUICK_FOLDER if quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written: Made = []
    for name, make_one in recipes.items():
        tell(f"{name} ...")
        written += make_one(Job(name, folder, quick=quick, resume=resume, tell=tell))
    return written
