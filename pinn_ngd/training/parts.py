"""What a run is made of, before it starts."""

from typing import Any, NamedTuple

from ..validation import ErrorEstimate, Watch
from .callbacks import AbstractCallback
from .clock import EvaluationClock
from .processes import Processes
from .result import Budget
from .saver import Saver

ROUNDING_TOLERANCE = 1e-13
FIRST_ESTIMATE = 2.0  # seconds of training


class Accuracy(NamedTuple):
    """A reliable estimate below `least_error` ends a run: that of the model, or `corrected`."""

    tolerance: float | None
    corrected: bool = False

    @property
    def asked(self) -> bool:
        """Whether somebody waits for it, so that errors are estimated from the first call on."""
        return self.tolerance is not None

    @property
    def least_error(self) -> float:
        return ROUNDING_TOLERANCE if self.tolerance is None else self.tolerance

    def reached(self, estimate: ErrorEstimate | None) -> bool:
        """Whether the estimate says so."""
        found = estimate is not None
        return found and estimate.is_below(self.least_error, corrected=self.corrected)

    @property
    def in_words(self) -> str:
        of = ", with the corrected solution" if self.corrected else ""
        return f"reached the tolerance {self.least_error:.1e}{of}"


class Parts(NamedTuple):
    """What a run is made of."""

    optimizer: Any
    budget: Budget
    stride: int
    callbacks: tuple[AbstractCallback, ...]
    saver: Saver | None
    evaluation: EvaluationClock
    watch: Watch
    accuracy: Accuracy
    processes: Processes

    def estimation(self) -> EvaluationClock:
        """When the error is estimated: at once where a tolerance waits for it."""
        measure = self.watch.measure if self.watch.held is not None else None
        return EvaluationClock(measure, first_after=0.0 if self.accuracy.asked else FIRST_ESTIMATE)
