"""Counting the solves of a step: what a natural gradient costs where the state is a PDE's."""

from typing import Any

import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ..linalg import JacobianRows, LeastSquaresSystem, Solution
from ..metrics import AbstractMetric
from ..objectives import AbstractObjective
from .base import Solves

POWER_ITERATIONS = 3  # of `forms.squared_norm`, where the matrix is not stored


def assembly(
    metric: AbstractMetric, objective: AbstractObjective, model: PyTree, operator: Any
) -> Solves:
    """Of forming a system: the state, and its rows where they are stored."""
    return Solves(*metric.assembly(objective, model, stored=is_stored(operator)))


def products(operator: lx.AbstractLinearOperator, linearized: Any = 0, adjoint: Any = 0) -> Solves:
    """Of products with A and with its transpose; none where A is stored."""
    return Solves() if is_stored(operator) else Solves(0, linearized, adjoint)


def solution(operator: lx.AbstractLinearOperator, found: Solution) -> Solves:
    """Of a linear solve: A and its transpose once in each iteration, and once to begin with.

    A solver that counts its products itself says so in `stats["products"]`.
    """
    if "products" in found.stats:
        count = jnp.sum(jnp.maximum(jnp.asarray(found.stats["products"]), 0))  # -1: unknown
    else:
        steps = jnp.ravel(jnp.asarray(found.stats.get("num_steps", -1)))  # of all candidates
        count = jnp.sum(steps + 1)
    return products(operator, count, count)


def gradient(system: LeastSquaresSystem) -> Solves:
    """Of the loss's gradient, which stored rows give for nothing where it is A^T b."""
    free = system.gradient is None and is_stored(system.operator)
    return Solves() if free else Solves(adjoint=1)


def statistic(found: Solution, name: str, which: Any = ...) -> Array | None:
    """The solver's "rank" or "condition", if it knows, of one of several solutions."""
    value = found.stats.get(name)
    return None if value is None else jnp.asarray(value)[which]


def is_stored(operator: Any) -> bool:
    """Whether products with an operator cost no solves, its matrix being at hand."""
    return isinstance(operator, JacobianRows | lx.IdentityLinearOperator)
