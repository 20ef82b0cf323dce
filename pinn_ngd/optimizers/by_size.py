"""Which optimizer suits the size of a problem: the rule behind the default."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import PyTree

from .. import _tree
from ..metrics import EnergyMetric
from ..objectives import AbstractObjective
from .cost import LONGEST, Cost, balance
from .forms import shape_for
from .presets.registry import get

EXACT = ("engd-tr", {})
PARTS = tuple(("engd-sub", {"rows": rows}) for rows in (512, 128, 32))
PRODUCTS = ("engd-tr", {"form": "matrix-free", "solver": "lsmr", "acceleration": "none"})


class Choice(NamedTuple):
    """An optimizer by name and settings, what a step of it costs, and why it is taken."""

    name: str
    settings: Mapping[str, Any]
    cost: Cost
    why: str


def suited(objective: AbstractObjective, model: PyTree, batch: PyTree) -> Choice:
    """The default optimizer for a problem of that size.

    The first of these whose step fits into half of the memory of the machine:

    1. `engd-tr`, all rows factored, where a step takes at most about 2 s as well;
    2. `engd-sub`, a random part of 512, 128 or 32 points, where the terms are residuals of points.
       If a step of all rows fits too and takes at most a minute, only such steps are made after as
       much time as two of them take (`full_after`);
    3. `engd-tr` all the same, where no part of the rows stands alone;
    4. `engd-tr` with products only, `form="matrix-free"`.

    It follows from the number of rows and parameters, the memory of the machine and the kind of
    device, not from what is free at the moment or a clock: a run and its continuation decide alike.
    Nothing of the size of a step is allocated.
    """
    exact = _cost(EXACT, objective, model, batch)
    if exact is None:  # the run refuses it in a sentence of its own
        return Choice(*EXACT, Cost(0, 0), "engd-tr.")
    if exact.fits and exact.is_quick:
        return Choice(*EXACT, exact, f"engd-tr: {exact} a step.")
    trouble = f"{_size(objective, model, batch)} would take engd-tr {exact} a step"
    for part in PARTS:
        cost = _cost(part, objective, model, batch)
        if cost is not None and cost.fits:
            why = f"{trouble}: engd-sub takes {part[1]['rows']} random points for a step, {cost}"
            settings = dict(part[1])
            if exact.fits and exact.seconds <= LONGEST:
                settings["full_after"] = _full_after(objective, model, batch, part[1]["rows"])
                why += f", and all rows after {settings['full_after']} of them"
            return Choice(part[0], settings, cost, f"{why}.")
    if exact.fits:
        return Choice(*EXACT, exact, f"{trouble}, and no part of its rows stands alone.")
    cost = _cost(PRODUCTS, objective, model, batch) or exact
    return Choice(*PRODUCTS, cost, f"{trouble}: it stores no rows now, {cost}.")


def remark(
    optimizer: Any, objective: AbstractObjective, model: PyTree, batch: PyTree
) -> str | None:
    """What would be cheaper than an optimizer whose step takes too long or too much memory.

    None where the step is quick and fits, where its cost is not known, or where nothing is cheaper.
    """
    cost = optimizer.cost(objective, model, batch) if hasattr(optimizer, "cost") else None
    if cost is None or (cost.fits and cost.is_quick):
        return None
    better = suited(objective, model, batch)
    if eqx.tree_equal(get(better.name, **better.settings), optimizer):
        return None
    if not better.cost.operations < cost.operations and (cost.fits or not better.cost.fits):
        return None
    given = "".join(f" --set {key}={value}" for key, value in better.settings.items())
    return (
        f"{_size(objective, model, batch)} take {cost} a step with this optimizer"
        f"{'' if cost.fits else ', more than half of the memory'}: cheaper is `--optimizer "
        f"{better.name}{given}`, {better.cost}."
    )


def _cost(
    form: tuple[str, Mapping[str, Any]], objective: AbstractObjective, model: PyTree, batch: PyTree
) -> Cost | None:
    """What a step costs; None where the optimizer refuses the problem."""
    optimizer = get(form[0], **form[1])
    try:
        optimizer.check(model, objective)
        return optimizer.cost(objective, model, batch)
    except ValueError:
        return None


def _full_after(objective: AbstractObjective, model: PyTree, batch: PyTree, points: int) -> int:
    """How many steps of a part take as long as two of all rows."""
    rows, parameters, _ = shape_for(EnergyMetric(), objective, model, batch)
    share = min(1.0, points / sum(rule.weights.size for rule in batch))
    return 2 * balance(rows, parameters, round(share * rows))


def _size(objective: AbstractObjective, model: PyTree, batch: PyTree) -> str:
    rows = EnergyMetric().rows(objective, model, batch)
    return f"{rows:,} rows x {_tree.size(model):,} parameters"
