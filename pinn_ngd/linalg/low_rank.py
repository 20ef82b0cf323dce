"""Diagonal matrices plus a product of few columns, and their inverse by Woodbury's identity."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from ._ravel import all_finite, hashable, ravel, size, unravel
from .guards import check_damping
from .operators import HIGHEST, adjoint_matvec, matvec, register_operator
from .symmetric import AbstractSymmetric


@register_operator
class LowRankPlusDiagonal(AbstractSymmetric):
    """diag(d) + B B^T with `factor` B (n, k) and `diagonal` d (n,), not negative.

    Empirical Fisher matrices of k examples with damping, and posterior precisions, are of this
    kind. It acts on PyTrees of `in_structure`, by default vectors (n,), whose leaves are raveled.
    Raises ValueError where the sizes do not agree.
    """

    factor: Float[Array, "n k"]
    diagonal: Float[Array, " n"]

    def __init__(
        self,
        factor: Float[Array, "n k"],
        diagonal: Float[Array, " m"],
        in_structure: PyTree[jax.ShapeDtypeStruct] = None,
    ):
        self.factor, self.diagonal = factor, diagonal
        if in_structure is None:
            in_structure = jax.ShapeDtypeStruct(diagonal.shape, diagonal.dtype)
        counts = {len(factor), len(diagonal), size(in_structure)}
        if len(counts) > 1:
            raise ValueError(
                f"`factor` has {len(factor)} rows, `diagonal` {len(diagonal)} numbers and "
                f"`in_structure` {size(in_structure)}: they need to be as many."
            )
        self.frozen_in = hashable(in_structure)

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.factor.dtype)
        product = matvec(self.factor, adjoint_matvec(self.factor, flat))
        return unravel(self.diagonal * flat + product, self.in_structure())

    def as_matrix(self) -> Float[Array, "n n"]:
        product = jnp.matmul(self.factor, self.factor.T, precision=HIGHEST)
        return product + jnp.diag(self.diagonal)


class WoodburyState(eqx.Module):
    """B, the reciprocals of d + damping, and the Cholesky factor of I + B^T diag(1/d) B."""

    operator: LowRankPlusDiagonal
    reciprocals: Float[Array, " n"]
    lower: Float[Array, "k k"]


class Woodbury(lx.AbstractLinearSolver[WoodburyState]):
    """x = (diag(d) + damping I + B B^T)^-1 v for a `LowRankPlusDiagonal`, in O(n k^2) operations.

    By Woodbury's identity, D = diag(d) + damping I,

        x = D^-1 v - D^-1 B (I + B^T D^-1 B)^-1 B^T D^-1 v,

    which is accurate where D is not far smaller than B B^T: its relative error is about eps times
    the largest eigenvalue of the matrix over the least number of D. `options["damping"]` is zero by
    default. The result is `singular` where a number of D is not positive. Raises TypeError for
    other operators, ValueError for a negative damping.
    """

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> WoodburyState:
        if not isinstance(operator, LowRankPlusDiagonal):
            raise TypeError(
                f"`operator` is a {type(operator).__name__}, and `Woodbury` takes a "
                "`LowRankPlusDiagonal`: take `Cholesky()`."
            )
        check_damping(options.get("damping", 0.0))
        damping = jnp.asarray(options.get("damping", 0.0), operator.diagonal.dtype)
        reciprocals = 1 / (operator.diagonal + damping)
        scaled = operator.factor * reciprocals[:, None]
        inner = jnp.matmul(operator.factor.T, scaled, precision=HIGHEST)
        lower = jnp.linalg.cholesky(inner + jnp.eye(len(inner), dtype=inner.dtype))
        return WoodburyState(operator, reciprocals, lower)

    def compute(
        self, state: WoodburyState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        del options
        factor, structure = state.operator.factor, state.operator.in_structure()
        scaled = state.reciprocals * ravel(vector, factor.dtype)
        inside = jax.scipy.linalg.cho_solve((state.lower, True), adjoint_matvec(factor, scaled))
        value = unravel(scaled - state.reciprocals * matvec(factor, inside), structure)
        good = all_finite(value) & jnp.all(state.reciprocals > 0)
        return value, lx.RESULTS.where(good, lx.RESULTS.successful, lx.RESULTS.singular), {}

    def transpose(
        self, state: WoodburyState, options: dict[str, Any]
    ) -> tuple[WoodburyState, dict[str, Any]]:
        return state, options

    def conj(
        self, state: WoodburyState, options: dict[str, Any]
    ) -> tuple[WoodburyState, dict[str, Any]]:
        return state, options

    def assume_full_rank(self) -> bool:
        return True
