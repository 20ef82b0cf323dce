"""What a run is made of, before it starts."""

from typing import Any, NamedTuple

from ..validation import Watch
from .callbacks import AbstractCallback
from .clock import EvaluationClock
from .result import Budget
from .saver import Saver

ROUNDING_TOLERANCE = 1e-13
FIRST_ESTIMATE = 2.0  # seconds of training


class Parts(NamedTuple):
    """What a run is made of."""

    optimizer: Any
    budget: Budget
    stride: int
    callbacks: tuple[AbstractCallback, ...]
    saver: Saver | None
    evaluation: EvaluationClock
    watch: Watch
    tolerance: float | None

    @property
    def least_error(self) -> float:
        """A reliable estimate below it ends the run."""
        return ROUNDING_TOLERANCE if self.tolerance is None else self.tolerance

    def estimation(self) -> EvaluationClock:
        """When the error is estimated: at once where a tolerance waits for it."""
        measure = self.watch.measure if self.watch.held is not None else None
        return EvaluationClock(
            measure, first_after=FIRST_ESTIMATE if self.tolerance is None else 0.0
        )
