"""The solver that factors a system once: `SpectralFactor` for Lineax."""

from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, PyTree, Real

from ._ravel import all_finite, hashable, ravel, structure_of, unravel
from .calling import linear_solve
from .least_squares import LeastSquaresSystem, Solution
from .spectral import Method, SpectralFactor, is_zero, spectral_factor
from .system_solver import AbstractSystemSolver


class _State(eqx.Module):
    factor: SpectralFactor
    structures: eqxi.Static


class Spectral(AbstractSystemSolver[_State]):
    """Lineax solver for damped least squares that reuses one factorization for every damping.

    Solves argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2 with `damping = options["damping"]` (default
    0: the pseudo-inverse solution, with relative cut-off `rcond`). A kept `state` answers any
    damping; `options["smallest_damping"]` tells `init` what the least of them will be, so that
    `method="auto"` can take the cheaper Gram route where it is safe. Any operator will do.

    `stats`: "rank", "condition" and "from_gram". The solution may be differentiated in the
    target; in the operator only without damping (NotImplementedError otherwise). `refine` is that
    of `SpectralFactor.solve`.
    """

    method: Method = eqx.field(static=True, default="auto")
    rcond: float | None = eqx.field(static=True, default=None)
    refine: bool = eqx.field(static=True, default=True)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        smallest = options.get("smallest_damping", options.get("damping"))
        factor = spectral_factor(
            operator.as_matrix(), method=self.method, smallest_damping=smallest
        )
        structures = hashable(operator.in_structure()), hashable(operator.out_structure())
        return _State(factor, eqxi.Static(structures))

    def compute(
        self, state: _State, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        factor, (in_structure, _) = state.factor, state.structures.value
        target = ravel(vector, factor.matrix.dtype)
        damping = options.get("damping", 0.0)
        solution = factor.solve(target, damping, rcond=self.rcond, refine=self.refine)
        stats = self.stats(factor)
        return unravel(solution, structure_of(in_structure)), lx.RESULTS.successful, stats

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> _State:
        """The factor of the rows."""
        least = {} if smallest_damping is None else {"smallest_damping": smallest_damping}
        return self.init(system.operator, least)

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """Through Lineax for a target; from the factor for a gradient, which Lineax has not."""
        options = {"damping": system.damping, **options}
        if system.gradient is None:
            return linear_solve(system.operator, system.target, self, options, state)
        factor = (self.init(system.operator, options) if state is None else state).factor
        flat = ravel(system.gradient, factor.matrix.dtype)
        keywords = {"rcond": self.rcond, "refine": self.refine}
        value = factor.solve_gradient(flat, options["damping"], **keywords)
        value = unravel(value, system.operator.in_structure())
        result = lx.RESULTS.where(all_finite(value), lx.RESULTS.successful, lx.RESULTS.singular)
        return Solution(value, result, self.stats(factor))

    def stats(self, factor: SpectralFactor) -> dict[str, Array]:
        """What a solution reports of its factor."""
        return {
            "rank": factor.rank(self.rcond),
            "condition": factor.condition,
            "from_gram": factor.from_gram,
        }

    def empty_stats(self) -> dict[str, Array]:
        """What a solution reports of a matrix without entries."""
        return self.stats(spectral_factor(jnp.zeros((0, 0))))

    def transpose(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        in_structure, out_structure = state.structures.value
        structures = eqxi.Static((out_structure, in_structure))
        return _State(state.factor.transpose(), structures), options

    def conj(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        # Lineax asks for this only to differentiate in the operator, by a formula for
        # pseudo-inverses that is wrong with damping: better no gradient than a wrong one.
        if not is_zero(options.get("damping", 0)):
            msg = (
                "A solution of `Spectral` with damping cannot be differentiated in its operator:"
                " solve with `QR()`, which keeps the damping inside of the operator."
            )
            raise NotImplementedError(msg)
        if jnp.iscomplexobj(state.factor.matrix):
            state = _State(state.factor.conj(), state.structures)
        return state, options

    def assume_full_rank(self) -> bool:
        return False
