"""What a run hands back."""

from typing import Any

import pytest

from pinn_ngd.training import TrainResult
from pinn_ngd.validation import Corrected, ErrorEstimate, Tangent


def ended(estimate: ErrorEstimate | None) -> TrainResult:
    fields: dict[str, Any] = dict(model="u", state=None, history=[], status="budget", message="")
    numbers: dict[str, Any] = dict(steps=1, seconds=0.0, compile_seconds=0.0, loss=0.0)
    return TrainResult(**fields, **numbers, estimate=estimate)


def estimate(unexplained: float) -> ErrorEstimate:
    return ErrorEstimate(1e-3, 1e-3, unexplained, Tangent(None, None), None)


@pytest.mark.parametrize("unexplained", [None, 0.3])
def test_without_a_reliable_estimate_the_model_is_the_solution(unexplained):
    assert ended(None if unexplained is None else estimate(unexplained)).solution == "u"


def test_a_reliable_estimate_corrects_the_solution():
    assert isinstance(ended(estimate(0.01)).solution, Corrected)


def test_a_stall_names_rank_and_condition_of_its_last_system():
    from tests.training.test_verdict import Ending, Rounding, line, verdict, watched

    record = line(1e-3, 2e-3) | {"rank": 12.0, "condition": 3e15}
    ending = verdict(Ending("stalled", "why"), record, watched(), Rounding(1e-31, True))
    assert "rank 12 and condition 3e+15" in ending.message
