"""Damped least squares with a Nystrom approximation in the place of A A^T."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, PRNGKeyArray, PyTree, Real

from .._settings import Count, check_fields
from ._ravel import all_finite, real_dtype_of
from .damped import dual_gram, gram
from .least_squares import LeastSquaresSystem, Solution
from .nystrom import Nystrom, nystrom
from .operators import is_real
from .spectral import is_zero
from .system_solver import AbstractSystemSolver

_REFUSAL = (
    "A solution of `NystromDual` is an approximation that cannot be differentiated in its operator:"
    " solve with `QR()`."
)


class NystromState(eqx.Module):
    """The operator A and the approximation of A A^T."""

    operator: lx.AbstractLinearOperator
    kernel: Nystrom


class NystromDual(AbstractSystemSolver[NystromState]):
    """x = A^T (K + damping I)^-1 b with K ~ A A^T of rank `rank`, for a positive damping.

    K is the randomized Nystrom approximation of A A^T (`linalg.nystrom`). For n rows and p
    parameters it takes `rank` products with A and as many with A^T, 4 n p rank operations where
    rows are stored, in the place of the 2 n^2 p that A A^T takes, which is never formed. For a
    gradient g it is x = (K' + damping I)^-1 g with K' ~ A^T A likewise, made anew for each: the
    dual form would take what K misses with a negative sign. x solves the system only where the
    rank of A is not above `rank`; what the approximation misses is taken for zero
    (Guzman-Cordero, Dangel, Goldshlager and Zeinhofer, NeurIPS 2025). `options["key"]` draws the
    random numbers; without a key they are always the same. `stats["products"]` counts the products
    with A, as many as those with A^T. Raises ValueError for complex operators and, in
    `linalg.solve`, for a damping that is known to be zero; the result for one is `singular`.
    """

    rank: Count = eqx.field(static=True)
    semidefinite: ClassVar[bool] = False
    matrix_free: ClassVar[bool] = True
    takes_key: ClassVar[bool] = True

    def __check_init__(self):
        check_fields(self)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> NystromState:
        if not is_real(operator):
            raise ValueError(
                "`operator` is complex, and `NystromDual` takes real ones: take `QR()`."
            )
        return NystromState(operator, nystrom(dual_gram(operator), self.rank, _key(options)))

    def compute(
        self, state: NystromState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        inverse = state.kernel.inverse(_damping(options, state.operator))
        value: PyTree[Array] = state.operator.transpose().mv(inverse.mv(vector))
        return value, _judged(value), self._stats(state)

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """x for a target, or for a gradient."""
        options = {"damping": system.damping, **options}
        if is_zero(options["damping"]):
            raise ValueError(
                "`damping` is 0, and `NystromDual` needs a positive one: what the approximation"
                " misses has no inverse without it."
            )
        state = self.init(system.operator, options) if state is None else state
        if system.gradient is None:
            return Solution(*self.compute(state, system.target, options))
        key = options.get("key")
        kernel = nystrom(
            gram(system.operator), self.rank, jax.random.key(0) if key is None else key
        )
        value = kernel.inverse(_damping(options, system.operator)).mv(system.gradient)
        return Solution(value, _judged(value), self._stats(state))

    def empty_stats(self) -> dict[str, Array]:
        return {"products": jnp.asarray(0, jnp.int32)}

    def _stats(self, state: NystromState) -> dict[str, Array]:
        return {"products": jnp.asarray(state.kernel.factor.shape[1], jnp.int32)}

    def transpose(self, state: NystromState, options: dict[str, Any]) -> Any:
        raise NotImplementedError(_REFUSAL)

    def conj(self, state: NystromState, options: dict[str, Any]) -> Any:
        raise NotImplementedError(_REFUSAL)

    def assume_full_rank(self) -> bool:
        return False


def _key(options: dict[str, Any]) -> PRNGKeyArray:
    key = options.get("key")
    return jax.random.key(0) if key is None else key


def _damping(options: dict[str, Any], operator: lx.AbstractLinearOperator) -> Array:
    damping: Real[ArrayLike, ""] = options.get("damping", 0.0)
    return jnp.asarray(damping, real_dtype_of(operator.in_structure()))


def _judged(value: PyTree[Array]) -> lx.RESULTS:
    return lx.RESULTS.where(all_finite(value), lx.RESULTS.successful, lx.RESULTS.singular)
