"""The budget of a run, its end and its result."""

import dataclasses
import math
import warnings
from typing import Any, NamedTuple

from jaxtyping import PyTree

from ..validation import ErrorEstimate, Look

Record = dict[str, Any]
OVERTIME = "overtime included"  # what the end of a run says that took more than its budget


class Ending(NamedTuple):
    """Why a run ends: one of the words of `TrainResult.status`, and a sentence."""

    status: str
    message: str


@dataclasses.dataclass(frozen=True)
class Budget:
    """The most steps and the most seconds of training; at least one of them.

    A run that needs more time may take `overtime` times as many. Raises ValueError where steps and
    seconds are missing, one is negative or `overtime` is below one or not finite.
    """

    steps: int | None = None
    seconds: float | None = None
    overtime: float = 1.0

    def __post_init__(self):
        if self.steps is None and self.seconds is None:
            raise ValueError(
                "`steps` and `seconds` are both missing, so training would never end: "
                "pass `steps=1000`, `seconds=60` or both."
            )
        for name, value in (("steps", self.steps), ("seconds", self.seconds)):
            if value is not None and not value >= 0:
                raise ValueError(f"`{name}` is {value}: a budget is zero or more.")
        if not 1 <= self.overtime < math.inf:
            raise ValueError(
                f"`overtime` is {self.overtime}: it is a factor of the budget, so give 1 or more."
            )

    def ending(self, steps: int, seconds: float, needs_time: bool = False) -> Ending | None:
        """The end of a run after so many steps and seconds if they use up the budget."""
        most, included = self._most(needs_time)
        if most.steps is not None and steps >= most.steps:
            return Ending("budget", f"reached the budget of {most.steps} steps{included}")
        if most.seconds is not None and seconds >= most.seconds:
            return Ending("budget", f"reached the budget of {most.seconds:g} s{included}")
        return None

    def at_start(self, steps: int, seconds: float, needs_time: bool = False) -> Ending | None:
        """The end before the first step, where a resumed run has used up its budget."""
        ending = self.ending(steps, seconds, needs_time)
        if ending is None or steps == 0:
            return ending
        over = "more than" if self._most(needs_time)[0]._is_over(steps, seconds) else "all of"
        budget = ending.message.removeprefix("reached ")
        return Ending(
            "budget",
            f"the run had made {steps} steps in {seconds:.3g} s before, {over} {budget}: nothing "
            "was done, and its results are those of all these steps",
        )

    def _is_over(self, steps: int, seconds: float) -> bool:
        pairs = ((steps, self.steps), (seconds, self.seconds))
        return any(limit is not None and used > limit for used, limit in pairs)

    def _most(self, needs_time: bool) -> tuple["Budget", str]:
        """What may be used, and what is to be said of it."""
        longer = needs_time and self.overtime > 1
        return (self._extended, f", {OVERTIME}") if longer else (self, "")

    @property
    def _extended(self) -> "Budget":
        steps = None if self.steps is None else math.floor(self.overtime * self.steps + 1e-9)
        return Budget(steps, None if self.seconds is None else self.overtime * self.seconds)

    def allowance(self, steps: int, stride: int) -> int:
        """How many steps the next compiled call makes: up to a multiple of `stride`.

        Calls are aligned with multiples of the stride, so that a run that was cut anywhere and
        resumed draws the same batches as one that was not.
        """
        aligned = stride - steps % stride
        limits = [] if self.steps is None else [self.steps, self._extended.steps]
        return min([aligned, *(limit - steps for limit in limits if limit > steps)])


@dataclasses.dataclass(frozen=True)
class Run:
    """What a callback learns at the start: budgets, where the run starts, and its parts."""

    steps: int | None
    seconds: float | None
    start: int
    start_seconds: float
    resumed: bool
    stride: int
    objective: Any
    optimizer: Any
    model: PyTree
    overtime: float = 1.0


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The outcome of `train`.

    `status` is "converged" (rounding error on training and held-out points, or the tolerance was
    reached), "overfitted" (the model fits its points and not the equation between them), "stalled"
    (no step helps, and a residual is left), "budget" (used up), "stopped" (by a callback), "failed"
    (a number was not finite, or the code raised) or "interrupted" (by Ctrl-C or SIGTERM); `message`
    says why in words, and how wrong the model is where that can be estimated. `steps`, `seconds`
    and `compile_seconds` are totals, including the part of the run before a resumed checkpoint;
    `seconds` is training only: neither compilation nor evaluation, callbacks and checkpoints.
    `history` has one dict per compiled call of this process. `loss` is what the last step reported.
    `measures` are the values of `evaluate` at the returned model, empty where nothing was evaluated
    (`metrics` is their old name: in this package a metric is Riemannian). `solves` counts forward,
    linearized and adjoint solves of the whole run, as each history line does up to its step.
    `estimate` is the error estimate and `held_out` the losses at held-out points of the returned
    model, None for an objective without points. `cells` say how points were spread before they
    grew last, or at the start: `train(cells=...)` begins a similar run with as many.
    """

    model: PyTree
    state: PyTree
    history: list[Record]
    status: str
    message: str
    steps: int
    seconds: float
    compile_seconds: float
    loss: float
    measures: dict[str, float] = dataclasses.field(default_factory=dict)
    solves: dict[str, int] = dataclasses.field(default_factory=dict)
    estimate: ErrorEstimate | None = None
    held_out: Look | None = None
    cells: tuple = ()

    @property
    def solution(self) -> Any:
        """The most accurate function that the run knows, x -> u(x): the model minus its estimated
        error where that estimate is reliable and the correction is estimated to be better (see
        docs/trust.md), else the model itself."""
        found = self.estimate
        return self.model if found is None or not found.corrects else found.corrected

    @property
    def metrics(self) -> dict[str, float]:
        """The old name of `measures`, which warns."""
        warnings.warn(
            "`TrainResult.metrics` is now called `measures`: metrics are Riemannian here.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.measures
