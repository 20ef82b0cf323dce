"""What a run counts as time, and when it evaluates its model."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, SupportsFloat

import numpy as np
from jaxtyping import PyTree

from .result import Record

Evaluate = Callable[[PyTree], dict[str, float]]
COST_RATIO = 10.0  # seconds of training per second of evaluation


@contextlib.contextmanager
def counted(run: Any, name: str) -> Iterator[None]:
    """Adds the seconds of a block to an attribute of `run`, unless it raises."""
    begun = time.perf_counter()
    yield
    setattr(run, name, getattr(run, name) + time.perf_counter() - begun)


class EvaluationClock:
    """Evaluates the model so rarely that evaluations take about a tenth of the training time.

    The model is evaluated every `every` steps where that is given. Otherwise it is evaluated after
    the first two calls (the first evaluation compiles, so that only the second shows the cost), and
    then whenever the training time since the last evaluation exceeds ten times its cost. The first
    evaluation waits for `first_after` seconds of training.
    """

    def __init__(
        self, evaluate: Evaluate | None, every: int | None = None, *, first_after: float = 0.0
    ):
        if every is not None and every < 1:
            raise ValueError(f"`evaluate_every` is {every}: it counts steps, so give 1 or more.")
        self.evaluate, self.every = evaluate, every
        self.first_after = first_after
        self.count, self.cost = 0, 0.0
        self.at_step, self.at_seconds = -1, 0.0
        self.latest: dict[str, float] = {}

    def due(self, step: int, seconds: float) -> bool:
        """Whether the model after so many steps and seconds of training is worth evaluating."""
        if self.evaluate is None:
            return False
        if self.count == 0:
            return seconds >= self.first_after
        if self.every is not None:
            return step // self.every > self.at_step // self.every
        return self.count == 1 or seconds - self.at_seconds > COST_RATIO * self.cost

    def measure(self, model: PyTree, step: int, seconds: float) -> Record:
        """The measures of the model; remembers when it ran and what it cost."""
        if self.evaluate is None:
            return {}
        begun = time.perf_counter()
        self.latest = numbers(self.evaluate(model))
        self.cost = time.perf_counter() - begun
        self.count, self.at_step, self.at_seconds = self.count + 1, step, seconds
        return self.latest


def numbers(measured: Any, function: str = "`evaluate`") -> Record:
    """What a function of a model returned, as floats; ValueError for no numbers with names."""
    if not isinstance(measured, Mapping):
        raise ValueError(
            f"{function} returned a {type(measured).__name__}: return a dict of numbers, such as "
            '`{"error": 0.1}`.'
        )
    for name, value in measured.items():
        if np.ndim(value) or not isinstance(value, SupportsFloat):
            raise ValueError(
                f"{function} returned a {type(value).__name__} of shape {np.shape(value)} as "
                f"`{name}`: return one number for a name."
            )
    return {str(name): float(value) for name, value in measured.items()}
