"""Learning rates by name."""

from collections.abc import Callable
from typing import Any

import optax

from .._names import choose

SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda rate, _: optax.constant_schedule(rate),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "exponential": lambda rate, steps: optax.exponential_decay(rate, steps, 0.01),
}


def schedule(name: str, rate: float, decay_steps: int) -> Any:
    """The rate as a function of the step.

    "constant"; "cosine", rate (1 + cos(pi k / decay_steps)) / 2 and then 0; or "exponential", rate
    0.01^(k / decay_steps). Raises ValueError for another name or `decay_steps` below 1.
    """
    chosen = choose(name, SCHEDULES, "`schedule`")
    if decay_steps < 1:
        msg = f"`decay_steps` is {decay_steps}; a schedule lasts 1 step or more."
        raise ValueError(msg)
    return chosen(rate, decay_steps)
