"""Errors of a solver of equations against the processor time of its steps."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax

from pinn_ngd.experiments.problem import Problem
from pinn_ngd.training.advance import as_arrays


class Reading(NamedTuple):
    """Processor seconds of all steps so far, their number, and the error then."""

    seconds: float
    steps: int
    error: float


def errors_by_time(
    problem: Problem, optimizer: Any, marks: Sequence[float], seed: int
) -> list[Reading]:
    """The relative L2 error after the first step that ends past each mark.

    Marks are processor seconds, which grow. Points stay as they are. Compilation and the
    evaluation of errors are not counted.
    """
    objective, key = problem.objective, jax.random.key(seed)
    batch, error = objective.batch(key), problem.errors()
    model = as_arrays(problem.model(key))
    state = as_arrays(optimizer.init(model, objective, batch))

    @eqx.filter_jit
    def step(model, state, key):
        return optimizer.step(model, state, objective, batch, key=key)[:2]

    jax.block_until_ready(eqx.filter(step(model, state, key), eqx.is_array))  # compile
    used, steps, found = 0.0, 0, []
    for mark in marks:
        while used < mark:
            begun = time.process_time()
            model, state = step(model, state, jax.random.fold_in(key, steps))
            jax.block_until_ready(eqx.filter((model, state), eqx.is_array))
            used, steps = used + time.process_time() - begun, steps + 1
        value = float(error(optimizer.answer(model, state))["relative_l2"])
        found.append(Reading(used, steps, value))
    return found
