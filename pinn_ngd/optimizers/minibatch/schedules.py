"""Learning rates by name."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from ..._names import choose


def _drops(rate: float, steps: int) -> Callable[[Any], Any]:
    del steps

    def schedule(count: Any) -> Any:
        drops = jnp.maximum(0, jnp.ceil((count - 15_000) / 10_000))
        return jnp.maximum(rate * 0.1**drops, 1e-7)

    return schedule


def _as_float(count: Any) -> Any:
    """A number of steps in the default precision: quotients of whole numbers have less of it."""
    return jnp.asarray(count, jnp.result_type(float))


SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda rate, _: optax.constant_schedule(rate),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "exponential": lambda rate, steps: optax.exponential_decay(rate, steps, 0.01),
    "drops": _drops,
    "inverse": lambda rate, steps: lambda count: rate / (1 + _as_float(count) / steps),
}


def schedule(name: str, rate: float, decay_steps: int) -> Any:
    """The rate as a function of the step.

    "constant"; "cosine", rate (1 + cos(pi k / decay_steps)) / 2 and then 0; "exponential", rate
    0.01^(k / decay_steps); "drops", that of the ENGD paper: a tenth after 15,000 steps and every
    10,000 more; or "inverse", rate / (1 + k / decay_steps), with which stochastic approximation
    converges (Robbins and Monro, Ann. Math. Stat. 1951). Raises ValueError for another name or
    `decay_steps` below 1.
    """
    chosen = choose(name, SCHEDULES, "`schedule`")
    if decay_steps < 1:
        msg = f"`decay_steps` is {decay_steps}; a schedule lasts 1 step or more."
        raise ValueError(msg)
    return chosen(rate, decay_steps)
