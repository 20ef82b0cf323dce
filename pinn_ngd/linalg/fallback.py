"""A solver that falls back on another."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree

from ._ravel import all_finite
from .capabilities import is_iterative
from .guards import is_empty


class Fallback(lx.AbstractLinearSolver[Any]):
    """Solve with `primary`; where that fails, solve again with `secondary`.

    Failure is a vector or solution with a non-finite entry or an unsuccessful `lineax.RESULTS`;
    operators without rows or columns are left to neither. The secondary solver runs (and factors
    the operator) only then, except under `vmap`, where both run. `stats["fallback"]` tells which
    solution was returned, beside the stats of `primary`.
    """

    primary: lx.AbstractLinearSolver
    secondary: lx.AbstractLinearSolver

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        if is_empty(operator):
            return None, operator
        # The secondary's factorization would cost its full price on every success: postponed.
        return self.primary.init(operator, options), operator

    def compute(
        self, state: Any, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        primary_state, operator = state
        if is_empty(operator):
            zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), operator.in_structure())
            return zero, lx.RESULTS.successful, {"fallback": jnp.asarray(False)}
        first, result, stats = self.primary.compute(primary_state, vector, options)
        failed = (result != lx.RESULTS.successful) | ~all_finite((vector, first))

        def again() -> tuple[PyTree[Array], lx.RESULTS]:
            secondary_state = self.secondary.init(operator, options)
            return self.secondary.compute(secondary_state, vector, options)[:2]

        value, result = jax.lax.cond(failed, again, lambda: (first, result))
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

    def assume_full_rank(self) -> bool:
        return self.primary.assume_full_rank() and self.secondary.assume_full_rank()
