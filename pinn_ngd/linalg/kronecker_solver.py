"""K-FAC and EKFAC as a solver of whole systems: A^T A is replaced by Kronecker products."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, PRNGKeyArray, PyTree, Real

from ._ravel import dtype_of
from .block_diagonal import BlockDiagonal
from .blockwise import Blockwise, BlockwiseState
from .kept import AbstractKeptSolver, Answer
from .kronecker_factors import check_sharing, corrected, kronecker_blocks


class KroneckerState(eqx.Module):
    """The Kronecker factors, averaged over systems, and their eigendecompositions."""

    curvature: BlockDiagonal
    factors: BlockwiseState


class KroneckerFactored(AbstractKeptSolver[Any]):
    """x = (F + damping)^-1 g, with F the Kronecker-factored approximation of A^T A, g = A^T b.

    It is not the solution of the system but K-FAC's approximation of it, or with `corrected` that
    of EKFAC; `linalg.kronecker_blocks` says what F is and `Blockwise` how it is damped (EKFAC's
    always exactly). `prepare(system, KroneckerFactored())` keeps the factors, which answer other
    dampings and right-hand sides; `refreshed` mixes those of another system into them. The system
    must know its layers, as that of a `ClassificationObjective` does (TypeError otherwise). Of a
    stack of such operators each adds a Kronecker product to a layer; EKFAC takes none (TypeError).
    `stats["clipped"]` counts eigenvalues that were negative beyond rounding. Lineax cannot
    differentiate x in the operator (NotImplementedError).
    """

    needs_layers: ClassVar[bool] = True
    damping: str = eqx.field(static=True, default="factored")
    sharing: str = eqx.field(static=True, default="expand")
    corrected: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_sharing(self.sharing)
        Blockwise(self.damping)

    @property
    def blockwise(self) -> Blockwise:
        """The solver of the blocks."""
        return Blockwise("exact" if self.corrected else self.damping)

    def refreshed(
        self,
        state: KroneckerState | None,
        operator: lx.AbstractLinearOperator,
        *,
        keep: Real[ArrayLike, ""] = 0.0,
        renew: Bool[ArrayLike, ""] = True,
        key: PRNGKeyArray | None = None,
    ) -> KroneckerState:
        """The factors keep * old + (1 - keep) * those of `operator`.

        Their eigendecomposition, which costs the most, is made anew where `renew` says so. The
        eigenvalues of EKFAC are averaged in the basis that they belong to; after it has changed the
        average goes on from s_G s_A^T.
        """
        del key
        measured = kronecker_blocks(operator, self.sharing)
        if state is None:
            factors, curvature = self.blockwise.init(measured, {}), measured
            keep = 0.0
        else:
            curvature = _mixed(keep, state.curvature, measured)
            factors = jax.lax.cond(
                renew, lambda: self.blockwise.init(curvature, {}), lambda: state.factors
            )
        if self.corrected:
            weight = jnp.asarray(keep, dtype_of(operator.in_structure()))
            factors = corrected(operator, factors, weight)
        return KroneckerState(curvature, factors)

    def compute_kept(
        self, state: KroneckerState, gradient: PyTree[Array], damping: Real[ArrayLike, ""]
    ) -> Answer:
        return self.blockwise.compute(state.factors, gradient, {"damping": damping})

    def empty_stats(self) -> dict[str, Array]:
        return {"clipped": jnp.asarray(0, jnp.int32)}


def _mixed(keep: Any, old: BlockDiagonal, new: BlockDiagonal) -> BlockDiagonal:
    def mix(before: Array, now: Array) -> Array:
        weight = jnp.asarray(keep, now.dtype)
        return weight * before + (1 - weight) * now

    return jax.tree.map(mix, old, new)
