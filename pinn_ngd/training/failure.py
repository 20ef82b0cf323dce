"""A step that is not finite: which model is kept, and which term and point are to blame."""

import contextlib
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from .advance import Carry, one_step
from .result import Ending
from .setup import blame, loss_of
from .verdict import not_finite


def failed_step(
    optimizer: Any,
    objective: Any,
    carry: Carry,
    batch: PyTree,
    key: PRNGKeyArray,
    number: int,
    loss: float,
) -> tuple[Carry, Ending]:
    """What is kept after a step with a `loss` or parameters that are not finite, and the end.

    `number` counts the steps that were kept. First-order optimizers tell the loss before their
    step: where that is not finite the model before it is kept.
    """
    if not np.isfinite(loss_of(objective, carry.model, batch)):
        where = blame(objective, carry.model, batch)
        return Carry(carry.previous, carry.previous, carry.state), not_finite(
            number + 1, loss, where
        )
    where = None
    with contextlib.suppress(Exception):  # the step is made again to look at it, and only for that
        run = eqx.filter_jit(one_step) if optimizer.jittable else one_step
        tried, _, _ = run(optimizer, objective, carry, batch, key, np.int32(number))
        where = blame(objective, tried.model, batch)
    return carry, not_finite(number + 1, loss, where)
