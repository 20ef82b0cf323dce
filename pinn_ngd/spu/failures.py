"""Why a device has no result: as a code in the statistics, or as an error while a function runs."""

import enum
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Bool, Inexact, Int


class Failure(enum.IntEnum):
    """`stats["failure"]` of an `SPU`; `explain` says it in a sentence."""

    NONE = 0
    INDEFINITE = 1
    UNSYMMETRIC = 2
    UNSTABLE = 3
    INVALID = 4
    DIVERGED = 5


_SENTENCES = {
    Failure.NONE: "The voltages were read.",
    Failure.INDEFINITE: (
        "`operator` is indefinite: add damping, or use more bits; a Gram operator (linalg.gram)"
        " stays semidefinite when the arrays of its factor are rounded, also that of a weighted"
        " Jacobian with `factored=True`."
    ),
    Failure.UNSYMMETRIC: (
        "`operator` is unsymmetric in spite of its tag: solve the normal equations with"
        " lineax.Normal(SPU(...))."
    ),
    Failure.UNSTABLE: (
        "`dt` is over the stability limit 2 / lambda_max of the Euler-Maruyama scheme, which"
        " `stats['dt_limit']` holds: pass less, or None for a tenth of the limit."
    ),
    Failure.INVALID: (
        "`time`, `temperature`, `burn_in`, damping or right-hand side are negative, not finite, or"
        " leave no window before the time: pass numbers in their range."
    ),
    Failure.DIVERGED: (
        "the voltages have grown as those of no stable device do: reduce `mismatch`, or add"
        " damping."
    ),
}


def explain(failure: Any) -> str:
    """The sentence of a code in `stats["failure"]`, with the cure."""
    return _SENTENCES[Failure(int(failure))]


def when(bad: Bool[Array, ""], failure: Failure) -> Int[Array, ""]:
    """A code that holds under a condition."""
    return jnp.where(bad, jnp.asarray(int(failure), jnp.int32), 0)


def first(*codes: Int[Array, ""]) -> Int[Array, ""]:
    """The first code that tells of a failure."""
    found = codes[-1]
    for code in reversed(codes[:-1]):
        found = jnp.where(code != 0, code, found)
    return found


def result_of(code: Int[Array, ""]) -> lx.RESULTS:
    """The nearest that Lineax has: its enumeration compares with members of its own class only."""
    nearest = {
        Failure.UNSTABLE: lx.RESULTS.breakdown,
        Failure.INVALID: lx.RESULTS.nonfinite_input,
    }
    result = lx.RESULTS.where(code == 0, lx.RESULTS.successful, lx.RESULTS.singular)
    for failure, member in nearest.items():
        result = lx.RESULTS.where(code == int(failure), member, result)
    return result


def is_indefinite(values: Inexact[Array, " k"], rounding: Any) -> Bool[Array, ""]:
    """Whether an eigenvalue is negative by more than `rounding`."""
    return jnp.min(values) < -rounding


def definite(values: Inexact[Array, " k"], rounding: Any) -> Inexact[Array, ""]:
    """One, or an error where an eigenvalue is negative by more than `rounding`.

    Multiply a result by it: what does not reach a result is removed under jit, check and all.
    """

    def indefinite(smallest: Any, largest: Any) -> str:
        return (
            f"`operator` is indefinite: it has eigenvalues about {smallest:.3g} and {largest:.3g}."
            " Add damping, or make it semidefinite."
        )

    one, ends = jnp.ones((), values.dtype), (jnp.min(values), jnp.max(values))
    return fail_if(is_indefinite(values, rounding), one, indefinite, *ends)


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
