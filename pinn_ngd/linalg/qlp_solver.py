"""The solver that grades a system once and takes a Cholesky factor for each damping."""

from typing import Any, NoReturn

import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, PyTree, Real

from .factor_solver import AbstractFactorSolver, FactorState, least, no_derivative, turned
from .qlp import QLPFactor, qlp_factor
from .spectral import is_zero


class QLP(AbstractFactorSolver):
    """Lineax solver for damped least squares: half the cost of `Spectral`, for positive dampings.

    Solves argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2 with `damping = options["damping"]`, by two QR
    factorizations and a Cholesky factor for each damping (see `QLPFactor`), with the accuracy of
    `Spectral(method="qr")` to a few digits. `options["smallest_damping"]` tells `init` what the
    least damping will be: where that is at least 45 eps |A|_F^2 only the Gram matrix is formed, and
    solutions are refined to the same accuracy. QLP pays where few dampings are asked of one matrix;
    `Spectral` answers any number of them at once.

    `stats`: "rank" and "condition" as `QLPFactor` knows them, and "from_gram". The solution may be
    differentiated in the target (backward at the price of another factor), and not in the operator.
    A damping of zero, for which `Spectral` has the pseudo-inverse, gives the result `singular`;
    `linalg.solve` raises ValueError for it.
    """

    def factored(self, matrix: Array, smallest_damping: Any) -> QLPFactor:
        known = smallest_damping is not None
        return qlp_factor(matrix, jnp.asarray(smallest_damping) if known else None)

    def for_target(self, state: FactorState, target: Array, damping: Any) -> Array:
        return state.factor.solve(_lower(state, damping), target, jnp.asarray(damping))

    def for_gradient(self, state: FactorState, gradient: Array, damping: Any) -> Array:
        return state.factor.solve_gradient(_lower(state, damping), gradient, jnp.asarray(damping))

    def check_damping(self, damping: Any) -> None:
        if is_zero(damping):
            raise ValueError(
                "`damping` is 0, and `QLP` needs a positive one: `Spectral` solves without damping."
            )

    def compute(
        self, state: FactorState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        value, result, stats = super().compute(state, vector, options)
        damping = jnp.asarray(options.get("damping", 0.0))
        is_defined = (damping > 0) | (state.factor.matrix.size == 0)
        return value, lx.RESULTS.where(is_defined, result, lx.RESULTS.singular), stats

    def prepare_damping(self, state: PyTree, damping: Real[ArrayLike, ""]) -> FactorState:
        """The same with the Cholesky factor of this damping."""
        self.check_damping(damping)
        return FactorState(state.factor, state.structures, _lower(state, damping))

    def transpose(
        self, state: FactorState, options: dict[str, Any]
    ) -> tuple[FactorState, dict[str, Any]]:
        # Its triangles say nothing of the transposed matrix, which is factored anew.
        factor = self.factored(state.factor.matrix.T, least(options))
        return FactorState(factor, turned(state.structures)), options

    def conj(self, state: FactorState, options: dict[str, Any]) -> NoReturn:
        del state, options
        raise no_derivative("QLP")


def _lower(state: FactorState, damping: Any) -> Array:
    kept = state.of_damping
    return state.factor.lower(jnp.asarray(damping)) if kept is None else kept
