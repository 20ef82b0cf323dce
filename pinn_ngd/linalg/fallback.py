"""A solver that calls a second solver where the first one fails."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, PyTree

from ._ravel import all_finite, dtype_of, ravel, size, unravel
from .capabilities import is_iterative, refusal_of_derivatives, takes_key
from .guards import Answer, is_empty
from .operators import adjoint

DOUBT = 0.25  # a direct solver may be wrong by eps to this power: 1e-4, and 2e-2 in float32


class Fallback(lx.AbstractLinearSolver[Any]):
    """Solve with `primary`; where that fails, solve again with `secondary`.

    A failure is a vector or solution with an entry that is not finite, or an unsuccessful
    `lineax.RESULTS`. A direct primary solver that assumes full rank (QR, Cholesky, LU) reports
    success in every case. It counts as failed where its residual is too large, or where its answer
    to the right-hand side A A^H y for a random y differs from the known solution A^H y, both by
    more than eps^(1/4). The second test costs another solve with its factor. Neither solver is
    called for operators without rows or columns.

    The secondary solver runs (and factors the operator) only after a failure, except under `vmap`,
    where both run. `stats["fallback"]` tells which solution was returned, beside the stats of
    `primary`.
    """

    primary: lx.AbstractLinearSolver
    secondary: lx.AbstractLinearSolver

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        if is_empty(operator):
            return None, operator
        # The secondary solver factors later, since its factor is needed after a failure only.
        return self.primary.init(operator, options), operator

    def compute(
        self, state: Any, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        primary_state, operator = state
        if is_empty(operator):
            zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), operator.in_structure())
            return zero, lx.RESULTS.successful, {"fallback": jnp.asarray(False)}
        first, result, stats = _attempt(self.primary, primary_state, operator, vector, options)
        failed = (result != lx.RESULTS.successful) | ~all_finite((vector, first))
        if self.primary.assume_full_rank() and not is_iterative(self.primary):
            probe = _Probe(operator)
            again, _, _ = self.primary.compute(primary_state, probe.vector, options)
            failed = failed | probe.is_missed(again) | probe.is_left(vector, first)

        def other() -> tuple[PyTree[Array], lx.RESULTS]:
            state = self.secondary.init(operator, options)
            return _attempt(self.secondary, state, operator, vector, options)[:2]

        value, result = jax.lax.cond(failed, other, lambda: (first, result))
        return value, result, {**stats, "fallback": failed}

    def transpose(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        primary_state, operator = state
        if not is_empty(operator):
            primary_state, options = self.primary.transpose(primary_state, options)
        return (primary_state, operator.transpose()), options

    def conj(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        primary_state, operator = state
        if not is_empty(operator):
            primary_state, options = self.primary.conj(primary_state, options)
        return (primary_state, lx.conj(operator)), options

    @property
    def matrix_free(self) -> bool:
        """Whether neither solver needs the matrix."""
        return is_iterative(self.primary) and is_iterative(self.secondary)

    @property
    def takes_key(self) -> bool:
        """Whether one of the two draws random numbers."""
        return takes_key(self.primary) or takes_key(self.secondary)

    def refusal_of_derivatives(self, options: dict[str, Any]) -> str | None:
        """The refusal of one of the two: which of them answers is not known before."""
        first = refusal_of_derivatives(self.primary, options)
        return first or refusal_of_derivatives(self.secondary, options)

    def assume_full_rank(self) -> bool:
        return self.primary.assume_full_rank() and self.secondary.assume_full_rank()


def _attempt(
    solver: lx.AbstractLinearSolver,
    state: Any,
    operator: lx.AbstractLinearOperator,
    vector: PyTree[Array],
    options: dict[str, Any],
) -> Answer:
    """The answer of a solver; that of an iterative one is a failure where numbers are not finite.

    CG stops at once and reports success where its residual is not a number.
    """
    value, result, stats = solver.compute(state, vector, options)
    if is_iterative(solver):
        wrong = ~all_finite((vector, operator.mv(value))) & (result == lx.RESULTS.successful)
        result = lx.RESULTS.where(wrong, lx.RESULTS.nonfinite_input, result)
    return value, result, stats


class _Probe:
    """A right-hand side A z whose solution z = A^H y is known, whatever the rank of A."""

    def __init__(self, operator: lx.AbstractLinearOperator):
        self.operator, self.adjoint = operator, adjoint(operator)
        structure = operator.out_structure()
        y = jax.random.normal(jax.random.key(0), (size(structure),), dtype_of(structure))
        self.solution = self.adjoint.mv(unravel(y, structure))
        self.vector = operator.mv(self.solution)

    def is_missed(self, found: PyTree[Array]) -> Bool[Array, ""]:
        """Whether a solver did not find z: where rank is lost it divides rounding errors."""
        error = _norm(jax.tree.map(jnp.subtract, found, self.solution))
        return _exceeds(error, _norm(self.solution))

    def is_left(self, vector: PyTree[Array], found: PyTree[Array]) -> Bool[Array, ""]:
        """Whether A^H (b - A x) is too large compared with |A| |b|, as it is for a huge x."""
        residual = jax.tree.map(jnp.subtract, vector, self.operator.mv(found))
        scale = _norm(self.vector) / _norm(self.solution)  # at most |A|, and usually close to it
        return _exceeds(_norm(self.adjoint.mv(residual)), scale * _norm(vector))


def _norm(tree: PyTree[Array]) -> Array:
    return jnp.linalg.norm(ravel(tree, dtype_of(tree)))


def _exceeds(error: Array, scale: Array) -> Bool[Array, ""]:
    tolerance = float(jnp.finfo(error.dtype).eps) ** DOUBT
    return ~(error <= tolerance * scale)  # NaN too
