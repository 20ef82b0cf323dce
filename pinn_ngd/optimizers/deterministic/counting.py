"""Counts of the solves of a step: they are its cost where the state solves a PDE.

Every function returns the `Solves` that one part of a step takes.
"""

from typing import Any

import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ...linalg import JacobianRows, LeastSquaresSystem, Solution
from ...metrics import AbstractMetric
from ...objectives import AbstractObjective
from ..base import Solves


def assembly(
    metric: AbstractMetric, objective: AbstractObjective, model: PyTree, operator: Any
) -> Solves:
    """The solves that form a system: those of the state, and of its rows where they are stored."""
    return Solves(*metric.assembly(objective, model, stored=is_stored(operator)))


def products(operator: lx.AbstractLinearOperator, linearized: Any = 0, adjoint: Any = 0) -> Solves:
    """The solves of so many products with A and with its transpose; none where A is stored."""
    return Solves() if is_stored(operator) else Solves(0, linearized, adjoint)


def solution(operator: lx.AbstractLinearOperator, found: Solution) -> Solves:
    """The solves that a linear solver took.

    An iterative solver multiplies by A and by its transpose once in each iteration and once before
    the first one. A solver that counts its products itself says so in `stats["products"]`.
    """
    if "products" in found.stats:
        count = jnp.sum(jnp.maximum(jnp.asarray(found.stats["products"]), 0))  # -1: unknown
    else:
        steps = jnp.ravel(jnp.asarray(found.stats.get("num_steps", -1)))  # of all candidates
        count = jnp.sum(steps + 1)
    return products(operator, count, count)


def gradient(system: LeastSquaresSystem) -> Solves:
    """The solves of the loss's gradient: none where it is A^T b and the rows of A are stored."""
    free = system.gradient is None and is_stored(system.operator)
    return Solves() if free else Solves(adjoint=1)


def statistic(found: Solution, name: str, which: Any = ...) -> Array | None:
    """The rank or condition number that a solver states in its statistics; None if it does not.

    `which` picks one of several solutions that were computed together.
    """
    value = found.stats.get(name)
    return None if value is None else jnp.asarray(value)[which]


def is_stored(operator: Any) -> bool:
    """Whether products with an operator cost no solves, because its matrix is stored."""
    return isinstance(operator, JacobianRows | lx.IdentityLinearOperator)
