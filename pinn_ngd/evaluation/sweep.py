"""Errors of a parametric solution, one for every value of its parameter."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import AbstractRule


class AtParameter(eqx.Module):
    """x -> u(m, x): a parametric solution at one value m of its parameters, its first inputs."""

    solution: PyTree
    parameter: Float[Array, " m"]

    def __call__(self, x: Float[Array, " d"]) -> Any:
        return self.solution(jnp.concatenate([self.parameter.astype(x.dtype), x]))


def at_parameter(solution: PyTree, value: Any) -> AtParameter:
    """The solution for one parameter (a number), or several, which are its first coordinates."""
    return AtParameter(solution, jnp.atleast_1d(jnp.asarray(value, jnp.result_type(float))))


def sweep(
    solution: PyTree, exact: Callable[[Array], Any], values: Sequence[Any] | Any, rule: AbstractRule
) -> np.ndarray:
    """The relative L2 errors |u(m, .) - u*(m, .)| / |u*(m, .)| for every m of `values`.

    `values` are numbers (k,), or rows (k, m) of several parameters, and `rule` integrates over
    space without them. Not a number where the exact solution is zero.
    """
    rows = np.atleast_1d(np.asarray(values, float))
    rows = rows[:, None] if rows.ndim == 1 else rows
    points = rule.quadrature()
    return np.asarray(_errors(solution, exact, jnp.asarray(rows), points.points, points.weights))


@eqx.filter_jit
def _errors(
    solution: PyTree, exact: Callable, values: Array, points: Array, weights: Array
) -> Float[Array, " k"]:
    def error(value: Array) -> Array:
        def squares(x: Array) -> Array:
            u = jnp.asarray(AtParameter(solution, value)(x))
            true = jnp.asarray(AtParameter(exact, value)(x))
            return jnp.stack([jnp.sum(jnp.abs(u - true) ** 2), jnp.sum(jnp.abs(true) ** 2)])

        wrong, size = weights @ jax.vmap(squares)(points)
        return jnp.sqrt(wrong / size)

    return jax.lax.map(error, values)
