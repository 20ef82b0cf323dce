"""Ends of runs, from history lines that are made up."""

import jax.numpy as jnp
import pytest

from pinn_ngd import Data, GaussLegendre, Interval, Residual, ResidualObjective
from pinn_ngd.training.result import Ending
from pinn_ngd.training.verdict import INTERRUPTED, estimate_in_words, judged, not_finite, verdict
from pinn_ngd.validation import ErrorEstimate, Look, Rounding, Tangent, Watch
from tests.training.helpers import model, regression


def watched(*, start=1.0, unexplained=None, error=2e-3):
    watch = Watch(regression(), grow=False)
    watch.start_loss = start
    if unexplained is not None:
        watch.estimate = ErrorEstimate(error, error, unexplained, Tangent(None, None), None)
    return watch


def line(loss, held_out=None, *, predicted=0.0):
    record = {"step": 9, "loss": loss, "gradient_norm": 1e-9, "predicted": predicted}
    return record if held_out is None else record | {"held_out_loss": held_out}


def status(given, record, watch=None, rounding=(1e-31, True)):
    watch = watched() if watch is None else watch
    return verdict(Ending(given, "why"), record, watch, Rounding(*rounding)).status


@pytest.mark.parametrize("given", ["failed", "interrupted", "converged"])
def test_ends_that_need_no_judge_stay_word_for_word(given):
    ending = Ending(given, "why")
    assert verdict(ending, line(1e-9, 1.0), watched(unexplained=0.9), Rounding(0, True)) is ending


@pytest.mark.parametrize("given", ["budget", "stopped", "stalled"])
def test_a_large_gap_is_overfitting_however_the_run_ended(given):
    assert status(given, line(1e-9, 1.0)) == "overfitted"


SOLVED = line(1e-20, 1e-10)


@pytest.mark.parametrize(
    ("record", "watch", "expected"),
    [
        (line(1e-3, 1e-3), watched(), "budget"),
        (line(1e-3, 0.09), watched(), "budget"),  # below a hundred times
        (line(1e-3, 0.11), watched(), "overfitted"),
        (line(1e-3), watched(), "budget"),  # no held-out points
        (SOLVED, watched(), "budget"),  # a gap between small losses
        (SOLVED, watched(unexplained=0.05), "budget"),
        (SOLVED, watched(unexplained=0.2), "overfitted"),
        (SOLVED, watched(start=9e-5), "overfitted"),  # small, but not small against the start
        (line(1e-3, 0.11), watched(unexplained=0.01), "overfitted"),  # not small, but explained
        (line(1e-20, float("nan")), watched(), "overfitted"),  # not finite between the points
    ],
)
def test_a_gap_is_overfitting_unless_both_losses_are_small(record, watch, expected):
    assert status("budget", record, watch) == expected


@pytest.mark.parametrize(
    ("loss", "held_out", "expected"),
    [
        (-1.0, 5.0, "overfitted"),
        (-5.0, -4.999, "budget"),
        (2.0, 2.1, "overfitted"),
        (0.0, 0.0, "budget"),
    ],
)
def test_an_energy_is_the_same_between_its_points(loss, held_out, expected):
    assert status("budget", line(loss, held_out), rounding=(1e-31, False)) == expected


def test_a_gap_between_rounding_errors_is_none():
    record, watch = line(1e-35, 5e-29), watched(start=1e-28)
    assert status("budget", record, watch, (1e-31, True)) == "budget"
    assert status("budget", record, watch, (1e-33, True)) == "overfitted"


@pytest.mark.parametrize(
    ("record", "rounding", "expected"),
    [
        (line(9e-29), (1e-31, True), "converged"),
        (line(2e-28), (1e-31, True), "stalled"),
        (line(0.0), (0.0, True), "converged"),
        (line(1e-3, 2e-3), (1e-31, True), "stalled"),
        (line(-5.0, predicted=1e-14), (1e-16, False), "converged"),  # an energy: its change counts
        (line(-5.0, predicted=-1e-14), (1e-16, False), "converged"),
        (line(-5.0, predicted=1e-3), (1e-16, False), "stalled"),
        (line(1e-29, predicted=1.0), (1e-31, True), "converged"),
    ],
)
def test_an_optimizer_at_rest_has_converged_at_rounding_level_only(record, rounding, expected):
    assert status("stalled", record, rounding=rounding) == expected


def test_an_optimizer_at_rest_with_a_negligible_residual_has_converged():
    watch = watched(start=1e3)
    watch.look = Look(1e-18, {}, (), "", ())
    assert status("stalled", line(1e-20, 1e-18), watch) == "converged"
    watch.look = Look(1e-16, {}, (), "", ())
    assert status("stalled", line(1e-18, 1e-16), watch) == "stalled"


@pytest.mark.parametrize(("error", "expected"), [(1e-9, "converged"), (1e-3, "stalled")])
def test_an_energy_at_rest_has_converged_where_it_can_tell_no_more(error, expected):
    watch, record = watched(unexplained=0.0, error=error), line(-5.0, -5.0, predicted=1e-3)
    assert status("stalled", record, watch, (1e-16, False)) == expected
    doubtful = watched(unexplained=0.3, error=error)
    assert status("stalled", record, doubtful, (1e-16, False)) == "stalled"


def test_messages_tell_the_cause_and_the_cure():
    def message(given, record, **settings):
        return verdict(Ending(given, "why"), record, watched(**settings), Rounding(0, True)).message

    assert "take more points or time, or fewer parameters" in message("budget", line(1e-9, 1.0))
    assert "the loss is 1.0e-09 on them and 1.0e+00 between" in message("budget", line(1e-9, 1.0))
    assert "with residual left (loss 1.00e-03, gradient 1.0e-09)" in message("stalled", line(1e-3))
    assert message("stalled", line(1e-3)).endswith("(why)")
    assert message("stalled", line(0.0)) == "converged to rounding error (why)"
    assert message("budget", line(1e-3)) == "why"
    explained = message("budget", line(1e-3), unexplained=0.01)
    assert explained == "why. Estimated relative L2 error 2.0e-03, 2.0e-05 corrected."


@pytest.mark.parametrize(
    ("unexplained", "words"),
    [
        (0.1, "Estimated relative L2 error 2.0e-03, 2.0e-04 corrected."),
        (0.3, "Estimated relative L2 error at least 2.0e-03: a correction of the network leaves"),
        (0.3, "30 % of the held-out residual unexplained"),
        (0.8, "Not known to be solved: a correction of the network leaves 80 %"),
        (7.0, "leaves 100 % of the held-out residual unexplained"),
    ],
)
def test_an_estimate_is_said_as_far_as_it_is_known(unexplained, words):
    assert words in estimate_in_words(watched(unexplained=unexplained))


def test_where_only_rounding_is_left_no_estimate_is_missed():
    """As where the singular function of an L-shape is part of the network: its residual is
    rounding error, and no step explains that."""

    def message(loss, held_out, unexplained, rounding=(1e-31, True)):
        watch = watched(unexplained=unexplained)
        ending = Ending("stalled", "why")
        return verdict(ending, line(loss, held_out), watch, Rounding(*rounding)).message

    both = message(2e-30, 9e-29, 1.0)
    assert "converged to rounding error" in both
    assert both.endswith("Between the points too the loss is rounding error (9.0e-29), which "
                         "tells no error.")  # fmt: skip
    for other in (message(2e-30, 2e-28, 1.0), message(2e-28, 2e-28, 1.0)):
        assert "Not known to be solved" in other
    assert "Not known" in message(2e-30, 9e-29, 1.0, (1e-31, False))
    assert "Estimated relative L2 error 2.0e-03" in message(2e-30, 9e-29, 0.01)


def test_noise_of_data_is_no_fault_of_the_network():
    watch = watched(unexplained=1.0)
    data = Data([0.0, 1.0], [0.0, 0.0], 0.1)
    watch.objective = ResidualObjective([data])
    assert "`validation.posterior` has error bars" in estimate_in_words(watch)
    watch.estimate = watched(unexplained=0.01).estimate
    assert "Estimated relative L2 error 2.0e-03" in estimate_in_words(watch)


def test_without_an_estimate_nothing_is_said():
    assert estimate_in_words(watched()) == ""


def test_an_estimate_that_is_not_a_number_is_not_known():
    words = estimate_in_words(watched(unexplained=float("nan"), error=float("nan")))
    assert "Not known to be solved" in words
    assert "nan" not in words


def test_what_cannot_be_judged_keeps_its_end():
    own, ending = regression(), Ending("stalled", "why")
    fitted = own, model(), own.batch()
    assert judged(ending, [line(1.0)], watched(), fitted) is ending
    line_of_points = ResidualObjective(
        [Residual(lambda u, x: u(x), GaussLegendre(Interval(0.0, 1.0), 3))]
    )
    watch = Watch(line_of_points, grow=False)
    known = line_of_points, lambda x: x[0], line_of_points.batch()
    assert judged(ending, [], watch, known) is ending
    assert judged(INTERRUPTED, [line(1.0, 9e9)], watch, known) is INTERRUPTED


def test_a_run_with_held_out_points_is_judged_by_the_rounding_of_its_own_parameters():
    rule = GaussLegendre(Interval(0.0, 1.0), 3)
    objective = ResidualObjective([Residual(lambda u, x: (u - 3.0) * x[0], rule)])
    watch = Watch(objective, grow=False)
    fitted = objective, jnp.asarray(3.0), objective.batch()
    at_rest = Ending("stalled", "why")
    assert judged(at_rest, [line(1e-30, 1e-30)], watch, fitted).status == "converged"
    assert judged(at_rest, [line(1e-20, 1e-20)], watch, fitted).status == "stalled"


@pytest.mark.parametrize(
    ("loss", "words"),
    [(float("inf"), "a loss (inf) that is not finite"), (1.0, "parameters that are not finite")],
)
def test_what_is_not_finite_is_named_with_its_step(loss, words):
    ending = not_finite(17, loss)
    assert ending.status == "failed"
    assert f"step 17 gave {words}" in ending.message
