"""The shares of windows in a budget, where none, one or all of them are not solved."""

import numpy as np
import pytest

from pinn_ngd.training.result import Budget
from pinn_ngd.training.window_shares import KEPT, LENT, share_of


def used(budget, count, unsolved):
    """The seconds, or else steps, that every window uses."""
    name = "steps" if budget.seconds is None else "seconds"
    windows = []
    for number in range(count):
        totals = {"steps": 0, "seconds": 0.0} | {name: sum(windows, type(getattr(budget, name))())}
        share = share_of(budget, **totals, left=count - number, count=count)
        own = getattr(share, name)
        assert 1 <= share.overtime <= LENT
        windows.append(share.overtime * own if number in unsolved else own)
        if name == "steps":
            windows[-1] = int(windows[-1])
    return windows


def test_solved_windows_have_equal_shares():
    np.testing.assert_allclose(used(Budget(None, 60.0), 6, set()), 10.0)
    assert used(Budget(7), 3, set()) == [3, 2, 2]


def test_a_window_that_is_not_solved_takes_three_shares():
    windows = used(Budget(None, 60.0), 6, {1})
    np.testing.assert_allclose(windows, [10.0, 30.0, 5.0, 5.0, 5.0, 5.0])


@pytest.mark.parametrize("budget", [Budget(None, 60.0), Budget(600), Budget(61)])
def test_later_windows_keep_a_half_of_their_shares_however_hard_all_are(budget):
    count = 6
    windows = used(budget, count, set(range(count)))
    total = budget.seconds or budget.steps
    assert sum(windows) <= total * (1 + 1e-12)
    assert min(windows) >= np.floor(KEPT * total / count)
    assert windows[0] > 1.5 * min(windows)


def test_of_steps_and_seconds_the_scarcer_one_counts():
    both = share_of(Budget(60, 60.0), 0, 0.0, left=6, count=6)
    assert both.overtime == LENT
    for used_up in ((0, 30.0), (30, 0.0)):
        assert share_of(Budget(60, 60.0), *used_up, left=6, count=6).overtime == 1.0


def test_nothing_is_left_of_a_budget_that_is_used_up():
    assert share_of(Budget(5, 1.0), 5, 2.0, left=2, count=3) == Budget(0, 0.0)
