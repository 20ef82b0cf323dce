"""What no solver is asked: systems without rows or columns, and numbers that are none."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ._ravel import all_finite
from .spectral import Spectral, is_zero

Answer = tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]
SINGULAR = (
    "`damping` is 0, but A^T A with fewer rows than columns is singular: use a positive damping,"
    " form='primal' with SVD(), or pass the `target` b with gradient A^T b."
)


def is_empty(operator: lx.AbstractLinearOperator) -> bool:
    """Whether an operator has no rows or no columns."""
    return operator.in_size() == 0 or operator.out_size() == 0


def solve_empty(system: Any, solver: lx.AbstractLinearSolver) -> Answer:
    """The minimum-norm solution where A has no entries: zero for a target, else g / damping.

    LAPACK is not asked: it ends the process for some of these shapes. Raises ValueError for a
    gradient and no damping where there are columns.
    """
    stats = solver.empty_stats() if isinstance(solver, Spectral) else {}
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
    """The answer, with `nonfinite_input` for a success that right-hand side or damping forbid.

    CG and LSMR stop at once, and content, where a number is none. With `products`, for solvers that
    never saw a matrix, the operator is judged by its product with the solution.
    """
    value, result, stats = answer
    given = system.gradient if system.target is None else system.target
    sound = all_finite(given) & jnp.isfinite(system.damping)
    if products:
        sound = sound & all_finite(system.operator.mv(jax.lax.stop_gradient(value)))
    wrong = (result == lx.RESULTS.successful) & ~sound
    return value, lx.RESULTS.where(wrong, lx.RESULTS.nonfinite_input, result), stats
