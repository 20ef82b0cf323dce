"""The numbers of a step as they stand in the history."""

from typing import Any

import numpy as np

from .result import Record

SOLVES = ("forward", "linearized", "adjoint")
NUMBERS = ("loss", "gradient_norm", "damping", "step_length", "predicted", "actual")


def record_of(infos: Any, index: int) -> Record:
    """The numbers of one of the steps of a call."""
    numbers: Record = {name: float(getattr(infos, name)[index]) for name in NUMBERS}
    for name in ("rank", "condition"):
        if getattr(infos, name, None) is not None:
            numbers[name] = float(getattr(infos, name)[index])
    return numbers | {"accepted": bool(infos.accepted[index])}


def add_solves(totals: dict[str, int], infos: Any, steps: int) -> None:
    """Add the solves of a call to the totals of the run, where the optimizer counts them."""
    counts = getattr(infos, "solves", None)
    if counts is None:
        return
    for name in SOLVES:
        new = int(np.sum(getattr(counts, name)[:steps], dtype=np.int64))
        totals[f"{name}_solves"] = totals.get(f"{name}_solves", 0) + new
