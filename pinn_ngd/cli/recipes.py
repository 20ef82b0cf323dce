"""The recipes of the figures: files of the repository that no wheel contains."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._listing import PACKAGE, described
from .._names import choose

FIGURES = "figures"


def figures_folder() -> Path | None:
    """figures/ beside the package, or else in the working directory, where one has recipes."""
    roots = (PACKAGE.parent, Path.cwd())
    folders = (root / FIGURES for root in roots)
    return next((folder for folder in folders if (folder / "recipes").is_dir()), None)


def list_figures() -> dict[str, str]:
    """Names of the figures and what they show; empty outside of a checkout."""
    folder = figures_folder()
    return {} if folder is None else described(folder)


def chosen_recipes(names: Sequence[str]) -> list[str]:
    """The given names, or all of them where none is given.

    Raises ValueError for an unknown name, and outside of a checkout.
    """
    known = list_figures()
    if not known:
        raise ValueError(
            "the recipes of the figures lie in the repository and not in the installed package: run"
            " `pinn-ngd figures` in the top folder of a checkout."
        )
    return [choose(name, list(known), "figure") for name in names] or list(known)


def recipes_package() -> Any:
    """The module `figures.recipes` of the checkout."""
    folder = figures_folder()
    assert folder is not None
    root = str(folder.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    return importlib.import_module(f"{FIGURES}.recipes")
