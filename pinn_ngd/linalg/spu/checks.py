"""What a device needs of its operator and of its step, checked while it runs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Bool, Inexact

from .._ravel import dtype_of
from .spectra import Measure, as_gram, flat_product


def check_tagged(operator: lx.AbstractLinearOperator) -> None:
    """ValueError for an operator that nobody declared to be positive semidefinite."""
    if lx.is_positive_semidefinite(operator):
        return
    msg = (
        "`operator` is not known to be positive semidefinite, and voltages would grow without"
        " bound along a negative eigenvalue: build it with the tag"
        " lineax.positive_semidefinite_tag, or solve least squares with lineax.Normal(SPU(...))."
    )
    raise ValueError(msg)


def check_definite(operator: lx.AbstractLinearOperator, measure: Measure) -> Measure:
    """The measure, unless the operator shows to be unsymmetric or indefinite."""
    values, weights = measure
    smallest, largest = jnp.min(values), jnp.max(values)
    root = float(jnp.finfo(values.dtype).eps) ** 0.5

    def indefinite(smallest: Any, largest: Any) -> str:
        return (
            f"`operator` is indefinite: it has eigenvalues about {smallest:.3g} and {largest:.3g}."
            " Add damping, or use more bits; a Gram operator (linalg.gram) stays semidefinite when"
            " the arrays of its factor are rounded."
        )

    bad = smallest < -root * jnp.abs(largest)
    values = fail_if(bad, values, indefinite, smallest, largest)
    if as_gram(operator) is not None:
        return values, weights
    asymmetry = _asymmetry(operator)

    def unsymmetric(asymmetry: Any) -> str:
        return (
            f"`operator` is unsymmetric (by {asymmetry:.1e} of its size) in spite of its tag: solve"
            " the normal equations with lineax.Normal(SPU(...))."
        )

    return fail_if(asymmetry > root, values, unsymmetric, asymmetry), weights


def check_step(dt: Inexact[Array, ""], limit: Inexact[Array, ""]) -> Inexact[Array, ""]:
    """The step, unless it is over the limit 2 / lambda_max."""

    def unstable(dt: Any, limit: Any) -> str:
        return (
            f"`dt` is {dt:.6g}, over the stability limit 2 / lambda_max = {limit:.6g} of the"
            " Euler-Maruyama scheme: pass less, or None for a tenth of the limit."
        )

    return fail_if(dt > limit, dt, unstable, dt, limit)


def fail_if(
    bad: Bool[Array, ""], value: Array, message: Callable[..., str], *numbers: Array
) -> Array:
    """The value; where `bad`, ValueError with a message that may name numbers, also under jit."""

    def judge(bad: Any, value: Any, *numbers: Any) -> Any:
        if np.any(bad):
            raise ValueError(message(*(float(x) for x in numbers)))
        return np.asarray(value)

    shape = jax.ShapeDtypeStruct(value.shape, value.dtype)

    def call() -> Array:
        return jax.pure_callback(judge, shape, bad, value, *numbers, vmap_method="sequential")

    return jax.lax.cond(bad, call, lambda: value)


def _asymmetry(operator: lx.AbstractLinearOperator) -> Inexact[Array, ""]:
    """|u.A v - v.A u| / sqrt(|A u| |A v| |u| |v|) for two random vectors."""
    dtype = dtype_of(operator.in_structure())
    u, v = jax.random.normal(jax.random.key(1), (2, operator.in_size()), dtype)
    product, norm = flat_product(operator), jnp.linalg.norm
    au, av = product(u), product(v)
    size = jnp.sqrt(norm(au) * norm(av) * norm(u) * norm(v))
    return jnp.abs(u @ av - v @ au) / jnp.where(size > 0, size, 1)
