"""What a run hands back."""

from typing import Any

import pytest

from pinn_ngd.training import TrainResult
from pinn_ngd.training.result import Budget
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


def test_only_a_run_that_needs_it_may_take_its_overtime():
    budget = Budget(steps=10, seconds=4.0, overtime=2.5)
    assert budget.ending(9, 3.0) is None
    for used in ((10, 3.0), (9, 4.0)):
        assert "reached the budget of" in budget.ending(*used, needs_time=False).message
        assert budget.ending(*used, needs_time=True) is None
    for used, words in (((25, 3.0), "25 steps"), ((9, 10.0), "10 s")):
        assert f"{words}, overtime included" in budget.ending(*used, needs_time=True).message
    assert "all of the budget of 25 steps" in budget.at_start(25, 3.0, needs_time=True).message
    assert "more than the budget of 10 steps" in budget.at_start(25, 3.0).message
    assert [budget.allowance(step, 8) for step in (0, 8, 10, 24)] == [8, 2, 6, 1]


@pytest.mark.parametrize("overtime", [0.5, float("inf"), float("nan")])
def test_overtime_is_a_finite_factor_of_one_or_more(overtime):
    with pytest.raises(ValueError, match=f"`overtime` is {overtime}"):
        Budget(1, overtime=overtime)
