"""Checks before a solver is called, and of the answer that it gives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PyTree

from ._ravel import all_finite, hashable, structure_of
from .spectral import is_zero

Answer = tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]
SINGULAR = (
    "`damping` is 0, but A^T A with fewer rows than columns is singular: use a positive damping,"
    " form='primal' with SVD(), or pass the `target` b with gradient A^T b."
)


def is_empty(operator: lx.AbstractLinearOperator) -> bool:
    """Whether an operator has no rows or no columns."""
    return operator.in_size() == 0 or operator.out_size() == 0


def solve_empty(system: Any, stats: dict[str, Any]) -> Answer:
    """The minimum-norm solution where A has no entries: zero for a target, else g / damping.

    LAPACK is not asked: it ends the process for some of these shapes. Raises ValueError for a
    gradient and no damping where there are columns.
    """
    structure = system.operator.in_structure()
    if system.gradient is None:
        value = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), structure)
        return value, lx.RESULTS.successful, stats
    if system.operator.in_size() and is_zero(system.damping):
        raise ValueError(SINGULAR)
    value = jax.tree.map(lambda g: g / system.damping.astype(g.dtype), system.gradient)
    failed = lx.RESULTS.where(all_finite(value), lx.RESULTS.successful, lx.RESULTS.singular)
    return value, failed, stats


def judge(system: Any, answer: Answer, *, products: bool) -> Answer:
    """The answer of a solver, whose success is turned into a failure where the input is not finite.

    CG and LSMR stop at once and report success where a right-hand side or damping is not a number;
    the result then becomes `nonfinite_input`. A solver that uses `products` only has never seen the
    entries of the matrix: there the operator is judged by its product with the solution.
    """
    value, result, stats = answer
    given = system.gradient if system.target is None else system.target
    sound = all_finite(given) & jnp.isfinite(system.damping)
    if products:
        sound = sound & all_finite(system.operator.mv(jax.lax.stop_gradient(value)))
    wrong = (result == lx.RESULTS.successful) & ~sound
    return value, lx.RESULTS.where(wrong, lx.RESULTS.nonfinite_input, result), stats


def check_structure(name: str, tree: PyTree, side: str, structure: PyTree) -> None:
    """ValueError unless a tree has the structure of one side of the operator."""
    if hashable(tree) != hashable(structure):
        msg = (
            f"`{name}` has the structure {_describe(tree)}, but the {side} of `operator` has"
            f" {_describe(structure)}: pass a PyTree of the same structure, shapes and dtypes."
        )
        raise ValueError(msg)


def _describe(tree: PyTree) -> str:
    return eqx.tree_pformat(structure_of(hashable(tree)), width=10**6)


def check_damping(damping: Any) -> None:
    """ValueError for a damping that is no scalar, or known to be negative."""
    if jnp.ndim(damping) != 0:
        msg = f"`damping` has shape {jnp.shape(damping)}; it must be a scalar (vmap over several)."
        raise ValueError(msg)
    if not isinstance(damping, Tracer) and not np.asarray(damping) >= 0:
        msg = f"`damping` is {damping}; it must be a scalar >= 0."
        raise ValueError(msg)
