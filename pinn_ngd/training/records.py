"""The numbers of a step as they stand in the history."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .result import Record

SOLVES = ("forward", "linearized", "adjoint")
NUMBERS = ("loss", "gradient_norm", "damping", "step_length", "predicted", "actual")

KINDS = ("loss", "held_out")  # of the numbers that every term has

OWN = {  # names that the loop and the validation write
    *NUMBERS, "step", "seconds", "accepted", "rank", "condition", "points", "unexplained",
    "relative_l2", "relative_h1", "estimated_relative_l2", "estimated_relative_h1",
    "estimated_corrected_l2", "held_out_loss",
}  # fmt: skip


COMPONENT = "relative_l2_"  # begins the name of the error of one component


def component_errors(record: Mapping[str, Any]) -> dict[str, float]:
    """The relative L2 errors of the components of a solution, by their names."""
    found = {name.removeprefix(COMPONENT): value for name, value in record.items()}
    return {name: value for name, value in found.items() if COMPONENT + name in record}


def scores_in(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a history line that are a problem's own scores: under any other name."""
    of_terms = {f"{kind}_{term}" for term in losses_of_terms(record) for kind in KINDS}
    return {
        name: value
        for name, value in record.items()
        if name not in OWN
        and name not in of_terms
        and not name.startswith(COMPONENT)
        and not name.endswith("_solves")
        and isinstance(value, int | float)
    }


def losses_of_terms(record: Mapping[str, Any]) -> dict[str, float]:
    """What each term adds to the loss, of a history line that knows it."""
    names = [name[5:] for name in record if name.startswith("loss_")]
    return {name: record[f"loss_{name}"] for name in names if f"held_out_{name}" in record}


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
