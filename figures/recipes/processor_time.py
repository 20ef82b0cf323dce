"""Trainings whose steps are counted in processor time, which other programs do not lengthen."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from pinn_ngd.experiments.problem import Problem
from pinn_ngd.training.advance import as_arrays


class Iterate(NamedTuple):
    """Processor seconds of all steps so far, their number, and what the optimizer answers.

    `solves` is the number of solves of the state equation and its derivatives, zero where the
    optimizer does not count them.
    """

    seconds: float
    steps: int
    model: PyTree
    solves: int


class Reading(NamedTuple):
    """Processor seconds of all steps so far, their number, the error then, and of which model."""

    seconds: float
    steps: int
    error: float
    model: PyTree

    def facts(self) -> dict[str, float]:
        """The three numbers, as a record of a figure keeps them."""
        return {"seconds": self.seconds, "steps": self.steps, "error": self.error}


def iterates(
    objective: Any,
    optimizer: Any,
    model: PyTree,
    draw: Callable[[int], PyTree],
    key: PRNGKeyArray,
) -> Iterator[Iterate]:
    """One step after the other without end; `draw(k)` is the batch of step k.

    The seconds are those of the compiled step: compilation, batches and whatever is done between
    two steps do not count.
    """
    batch = draw(0)
    model, state = as_arrays(model), as_arrays(optimizer.init(model, objective, batch))

    @eqx.filter_jit
    def step(model, state, batch, key):
        model, state, info = optimizer.step(model, state, objective, batch, key=key)
        return model, state, info.solves

    _wait(step(model, state, batch, key))  # compile
    used, steps, solved = 0.0, 0, 0
    while True:
        batch, own = draw(steps), jax.random.fold_in(key, steps)
        _wait((batch, own))
        begun = time.process_time()
        model, state, solves = step(model, state, batch, own)
        _wait((model, state))
        used, steps = used + time.process_time() - begun, steps + 1
        solved += sum(int(count) for count in jax.tree.leaves(solves))
        yield Iterate(used, steps, optimizer.answer(model, state), solved)


def errors_by_time(
    problem: Problem, optimizer: Any, marks: Sequence[float], seed: int, model: PyTree = None
) -> list[Reading]:
    """The relative L2 error after the first step that ends past each mark.

    Marks are processor seconds, which grow. Points stay as they are. `model` is where training
    starts, by default the problem's own of that seed.
    """
    objective, key = problem.objective, jax.random.key(seed)
    batch, error = objective.batch(key), problem.errors()
    start = problem.model(key) if model is None else model
    run = iterates(objective, optimizer, start, lambda _: batch, key)
    now, found = next(run), []
    for mark in marks:
        while now.seconds < mark:
            now = next(run)
        value = float(error(now.model)["relative_l2"])
        found.append(Reading(now.seconds, now.steps, value, now.model))
    return found


def _wait(tree: PyTree) -> None:
    jax.block_until_ready(eqx.filter(tree, eqx.is_array))
