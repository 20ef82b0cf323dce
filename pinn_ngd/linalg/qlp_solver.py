"""The solver that grades a system once and takes a Cholesky factor for each damping."""

from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PyTree, Real

from ._ravel import all_finite, hashable, ravel, structure_of, unravel
from .calling import linear_solve
from .least_squares import LeastSquaresSystem, Solution
from .qlp import QLPFactor, qlp_factor
from .spectral import is_zero
from .system_solver import AbstractSystemSolver


class _State(eqx.Module):
    factor: QLPFactor
    structures: eqxi.Static
    lower: Inexact[Array, "m m"] | None = None


class QLP(AbstractSystemSolver[_State]):
    """Lineax solver for damped least squares: half the cost of `Spectral`, for positive dampings.

    Solves argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2 with `damping = options["damping"]`, by two QR
    factorizations and a Cholesky factor for each damping (see `QLPFactor`), with the accuracy of
    `Spectral(method="qr")` to a few digits. `options["smallest_damping"]` tells `init` what the
    least damping will be: where that is large enough only the Gram matrix is formed, with a
    relative error of some eps |A|^2 / damping, below 3e-4, since it is not refined as that of
    `Spectral` is. QLP pays where few dampings are asked of one matrix; `Spectral` answers any
    number of them at once.

    `stats`: "rank" and "condition" as `QLPFactor` knows them, and "from_gram". The solution may be
    differentiated in the target (backward at the price of another factor), and not in the operator.
    A damping of zero, for which `Spectral` has the pseudo-inverse, gives the result `singular`;
    `linalg.solve` raises ValueError for it.
    """

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        factor = qlp_factor(operator.as_matrix(), _least(options))
        structures = hashable(operator.in_structure()), hashable(operator.out_structure())
        return _State(factor, eqxi.Static(structures))

    def compute(
        self, state: _State, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        factor, (in_structure, _) = state.factor, state.structures.value
        target = ravel(vector, factor.matrix.dtype)
        damping = jnp.asarray(options.get("damping", 0.0))
        solution = factor.solve(_lower(state, damping), target)
        value = unravel(solution, structure_of(in_structure))
        is_positive = (damping > 0) | (target.size == 0)
        result = lx.RESULTS.where(is_positive, lx.RESULTS.successful, lx.RESULTS.singular)
        return value, result, self.stats(factor)

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> _State:
        """The graded rows."""
        least = {} if smallest_damping is None else {"smallest_damping": smallest_damping}
        return self.init(system.operator, least)

    def prepare_damping(self, state: PyTree, damping: Real[ArrayLike, ""]) -> _State:
        """The same with the Cholesky factor of this damping."""
        _refuse_zero(damping)
        return _State(state.factor, state.structures, _lower(state, damping))

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """Through Lineax for a target; from the factor for a gradient, which Lineax has not."""
        options = {"damping": system.damping, **options}
        _refuse_zero(options["damping"])
        if system.gradient is None:
            return linear_solve(system.operator, system.target, self, options, state)
        state = self.init(system.operator, options) if state is None else state
        factor, damping = state.factor, jnp.asarray(options["damping"])
        flat = ravel(system.gradient, factor.matrix.dtype)
        value = factor.solve_gradient(_lower(state, options["damping"]), flat, damping)
        value = unravel(value, system.operator.in_structure())
        result = lx.RESULTS.where(all_finite(value), lx.RESULTS.successful, lx.RESULTS.singular)
        return Solution(value, result, self.stats(factor))

    def stats(self, factor: QLPFactor) -> dict[str, Array]:
        """What a solution reports of its factor."""
        return {
            "rank": factor.rank(),
            "condition": factor.condition,
            "from_gram": factor.from_gram,
        }

    def empty_stats(self) -> dict[str, Array]:
        """What a solution reports of a matrix without entries."""
        return self.stats(qlp_factor(jnp.zeros((0, 0))))

    def transpose(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        # Its triangles say nothing of the transposed matrix, which is factored anew.
        in_structure, out_structure = state.structures.value
        factor = qlp_factor(state.factor.matrix.T, _least(options))
        return _State(factor, eqxi.Static((out_structure, in_structure))), options

    def conj(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        # Lineax asks for this only to differentiate in the operator, by a formula for
        # pseudo-inverses that is wrong with damping: better no gradient than a wrong one.
        del state, options
        raise NotImplementedError(
            "A solution of `QLP` cannot be differentiated in its operator: solve with `QR()`, which"
            " keeps the damping inside of the operator."
        )

    def assume_full_rank(self) -> bool:
        return False


def _least(options: dict[str, Any]) -> Array | None:
    """The least damping to come, where it is known."""
    smallest = options.get("smallest_damping", options.get("damping"))
    return None if smallest is None else jnp.asarray(smallest)


def _lower(state: _State, damping: Any) -> Array:
    return state.factor.lower(jnp.asarray(damping)) if state.lower is None else state.lower


def _refuse_zero(damping: Any) -> None:
    if is_zero(damping):
        raise ValueError(
            "`damping` is 0, and `QLP` needs a positive one: `Spectral` solves without damping."
        )
