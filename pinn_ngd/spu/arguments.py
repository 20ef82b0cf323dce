"""What may be wrong of an argument: known before anything runs, or traced."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool


def is_absent(amount: Any) -> bool:
    """Whether an amount is known to be None or zero while tracing."""
    return amount is None or (not isinstance(amount, Tracer) and bool(amount == 0))


def is_negative(value: Any) -> Bool[Array, ""]:
    """Whether a scalar, traced or not, is negative or not a number."""
    return ~(jnp.asarray(value) >= 0)


def check_at_least(name: str, value: Any, least: int, meaning: str) -> None:
    """ValueError for a value that is known to be less than it may be, or not a number."""
    if value is None or isinstance(value, Tracer):
        return
    if jnp.ndim(value) != 0 or not value >= least:
        msg = f"`{name}` is {value}; pass {meaning} (at least {least})."
        raise ValueError(msg)


def check_positive(name: str, value: Any, meaning: str) -> None:
    """ValueError for a value that is known not to be positive; None passes."""
    if value is not None and not isinstance(value, Tracer) and not value > 0:
        raise ValueError(f"`{name}` is {value}; pass {meaning}.")


def check_count(name: str, value: Any, meaning: str) -> None:
    """ValueError for a value that is not a positive integer, nor None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        msg = f"`{name}` is {value!r}; pass {meaning}: an integer."
        raise ValueError(msg)
    check_at_least(name, value, 1, meaning)
