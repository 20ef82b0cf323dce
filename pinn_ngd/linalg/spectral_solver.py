"""The solver that factors a system once: `SpectralFactor` for Lineax."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .factor_solver import AbstractFactorSolver, FactorState, no_derivative, turned
from .spectral import Method, SpectralFactor, is_zero, spectral_factor


class Spectral(AbstractFactorSolver):
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

    def factored(self, matrix: Array, smallest_damping: Any) -> SpectralFactor:
        return spectral_factor(matrix, method=self.method, smallest_damping=smallest_damping)

    def for_target(self, state: FactorState, target: Array, damping: Any) -> Array:
        return state.factor.solve(target, damping, rcond=self.rcond, refine=self.refine)

    def for_gradient(self, state: FactorState, gradient: Array, damping: Any) -> Array:
        return state.factor.solve_gradient(gradient, damping, rcond=self.rcond, refine=self.refine)

    def rank(self, factor: SpectralFactor) -> Array:
        return factor.rank(self.rcond)

    def transpose(
        self, state: FactorState, options: dict[str, Any]
    ) -> tuple[FactorState, dict[str, Any]]:
        return FactorState(state.factor.transpose(), turned(state.structures)), options

    def conj(
        self, state: FactorState, options: dict[str, Any]
    ) -> tuple[FactorState, dict[str, Any]]:
        if not is_zero(options.get("damping", 0)):
            raise no_derivative("Spectral")
        if jnp.iscomplexobj(state.factor.matrix):
            state = FactorState(state.factor.conj(), state.structures)
        return state, options
