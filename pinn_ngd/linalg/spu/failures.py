"""Errors that are raised while a compiled function runs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Inexact


def definite(values: Inexact[Array, " k"], rounding: Any) -> Inexact[Array, ""]:
    """One, or an error where an eigenvalue is negative by more than `rounding`.

    Multiply a result by it: what does not reach a result is removed under jit, check and all.
    """
    smallest, largest = jnp.min(values), jnp.max(values)

    def indefinite(smallest: Any, largest: Any) -> str:
        return (
            f"`operator` is indefinite: it has eigenvalues about {smallest:.3g} and {largest:.3g}."
            " Add damping, or use more bits; a Gram operator (linalg.gram) stays semidefinite when"
            " the arrays of its factor are rounded, also that of a weighted Jacobian with"
            " `factored=True`."
        )

    one = jnp.ones((), values.dtype)
    return fail_if(smallest < -rounding, one, indefinite, smallest, largest)


def fail_if(
    bad: Bool[Array, ""], value: Array, message: Callable[..., str], *numbers: Array
) -> Array:
    """The value; where `bad`, ValueError with a message that may name numbers, also under jit."""

    def judge(bad: Any, value: Any, *numbers: Any) -> Any:
        if np.any(bad):
            raise ValueError(message(*(float(x) for x in numbers)))
        return np.asarray(value)

    shape = jax.ShapeDtypeStruct(value.shape, value.dtype)
    bad, numbers = jax.lax.stop_gradient((bad, numbers))  # a callback has no derivative

    def call() -> Array:
        return jax.pure_callback(judge, shape, bad, value, *numbers, vmap_method="sequential")

    return jax.lax.cond(bad, call, lambda: value)
