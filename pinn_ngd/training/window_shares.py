"""How the windows of a run share its budget."""

import math

from .result import Budget

LENT = 3.0  # shares, for a window that is not solved
KEPT = 0.5  # of an equal share, for each of the windows to come


def share_of(budget: Budget, steps: int, seconds: float, left: int, count: int) -> Budget:
    """The budget of the next window, where `left` of `count` windows have not begun and the ones
    before used `steps` and `seconds` of the whole `budget`: an equal share of what is left.

    Its `overtime` is what the window may borrow: up to `LENT` shares in all, as long as every
    window to come keeps `KEPT` / `count` of the whole budget. What is wrong in an early window is
    handed on to all later ones.
    """
    own_steps, own_seconds, overtime = None, None, LENT
    kept = KEPT * (left - 1) / count
    if budget.steps is not None:
        rest = max(budget.steps - steps, 0)
        own_steps = math.ceil(rest / left)
        overtime = min(overtime, (rest - kept * budget.steps) / max(own_steps, 1))
    if budget.seconds is not None:
        rest = max(budget.seconds - seconds, 0.0)
        own_seconds = rest / left
        if own_seconds > 0:
            overtime = min(overtime, (rest - kept * budget.seconds) / own_seconds)
    return Budget(own_steps, own_seconds, max(overtime, 1.0))
