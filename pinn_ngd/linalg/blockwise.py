"""The solver of Kronecker products and of block-diagonal operators made of them."""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PyTree, Real

from .._names import choose
from ._ravel import all_finite, is_complex
from .block_diagonal import BlockDiagonal, Layout
from .kronecker import EigenKronecker, Kronecker
from .kronecker_sum import KroneckerSum, SumFactor
from .operators import HIGHEST
from .stacked import Stacked, UnitWise, symmetric_eigen

KroneckerDamping = Literal["factored", "exact"]


class DiagonalFactor(eqx.Module):
    """A diagonal block, which needs no factorization."""

    values: Float[Array, " k"]
    clipped: Int[Array, ""]

    def solve(self, vector: Array, damping: Array, method: str) -> Array:
        """(values + damping)^-1 vector."""
        del method
        return vector * _inverse(self.values + damping, damping)


class EigenFactor(eqx.Module):
    """Eigenvectors U, V of a Kronecker product, and eigenvalues S (o, i) in that basis.

    `spectra` are the eigenvalues (s_G, s_A) of the two factors, where S = s_G s_A^T; `clipped`
    counts those that were negative beyond rounding and were set to zero. `left` None is the
    identity: G was diagonal.
    """

    left: Float[Array, "o o"] | None
    right: Float[Array, "i i"]
    values: Float[Array, "o i"]
    spectra: tuple[Float[Array, " o"], Float[Array, " i"]] | None
    clipped: Int[Array, ""]

    def solve(self, matrix: Array, damping: Array, method: str) -> Array:
        """U ((U^T D V) / damped eigenvalues) V^T."""
        gains = _inverse(self._damped(damping, method), damping)
        gained = EigenKronecker(self.left, self.right, gains)
        return gained.mv(matrix)

    def _damped(self, damping: Array, method: str) -> Array:
        if method == "exact" or self.spectra is None:
            return self.values + damping
        g, a = self.spectra
        root, pi = jnp.sqrt(damping), trace_ratio(g, a)
        return (g + root / pi)[:, None] * (a + root * pi)[None, :]


class UnitFactor(eqx.Module):
    """Eigenvalues and eigenvectors of the 1 x 1 or 2 x 2 blocks of units."""

    values: Float[Array, "c u"]
    vectors: Float[Array, "c u u"]
    clipped: Int[Array, ""]

    def solve(self, array: Array, damping: Array, method: str) -> Array:
        """(B_c + damping)^-1 x_c for every unit c."""
        del method
        gains = _inverse(self.values + damping, damping)
        turned = jnp.einsum("cuv,cu->cv", self.vectors, array, precision=HIGHEST)
        return jnp.einsum("cuv,cv->cu", self.vectors, gains * turned, precision=HIGHEST)


class StackedFactor(eqx.Module):
    """A factor for each of several blocks of one kind, its arrays stacked."""

    factor: Any

    def solve(self, array: Array, damping: Array, method: str) -> Array:
        """The solution of every block."""
        return jax.vmap(lambda f, x: f.solve(x, damping, method))(self.factor, array)

    @property
    def clipped(self) -> Int[Array, ""]:
        """How many eigenvalues of all blocks were negative beyond rounding."""
        return jnp.sum(self.factor.clipped)


Factor = DiagonalFactor | EigenFactor | UnitFactor | StackedFactor | SumFactor


def trace_ratio(left: Float[Array, " o"], right: Float[Array, " i"]) -> Float[Array, ""]:
    """pi = sqrt(mean eigenvalue of A / mean eigenvalue of G); 1 where one of the means is zero.

    It splits a damping between the factors such that none of them is damped more than the other,
    however a constant is shared between them (Martens and Grosse 2015, section 6.3).
    """
    g, a = jnp.mean(left), jnp.mean(right)
    usable = (g > 0) & (a > 0)
    return jnp.sqrt(jnp.where(usable, a, 1) / jnp.where(usable, g, 1))


class BlockwiseState(eqx.Module):
    """A factor for every block, and which leaves it acts on (None for a single block)."""

    factors: tuple[Factor, ...]
    layout: Layout | None


class Blockwise(lx.AbstractLinearSolver[BlockwiseState]):
    """(F + damping) x = g for F a `Kronecker`, an `EigenKronecker`, `UnitWise`, diagonal, a stack
    of the first (`Stacked`), or blocks of these.

    A `KroneckerSum` is solved too, anew for each damping (see `SumFactor`).

    `damping = options["damping"]` is 0 by default: the pseudo-inverse. One eigendecomposition of
    the two factors of each Kronecker block answers every damping:

    - "exact": (G (x) A + damping I)^-1, eigenvalues s_G s_A^T + damping;
    - "factored": (G + sqrt(damping)/pi I)^-1 (x) (A + pi sqrt(damping) I)^-1 with pi^2 the ratio of
      the mean eigenvalues of A and G (Martens and Grosse 2015), which damps mixed directions more.
      Blocks without two factors are damped exactly.

    Negative eigenvalues are set to zero; `stats["clipped"]` counts those that rounding does not
    explain, so that a factor that is not positive semidefinite is reported. The result is
    `nonfinite_input` for numbers that are not finite. Raises TypeError for other operators, and
    ValueError for complex ones.
    """

    damping: str = eqx.field(static=True, default="factored")

    def __check_init__(self):
        choose(self.damping, get_args(KroneckerDamping), "`damping`")

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> BlockwiseState:
        del options
        if isinstance(operator, BlockDiagonal):
            factors = tuple(factor_block(block) for block in operator.blocks)
            return BlockwiseState(factors, operator.layout)
        return BlockwiseState((factor_block(operator),), None)

    def compute(
        self, state: BlockwiseState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        value = self.solve_factors(state, vector, options.get("damping", 0.0))
        good = all_finite((vector, value))
        result = lx.RESULTS.where(good, lx.RESULTS.successful, lx.RESULTS.nonfinite_input)
        return value, result, {"clipped": clipped(state)}

    def solve_factors(
        self, state: BlockwiseState, vector: PyTree[Array], damping: Real[ArrayLike, ""]
    ) -> PyTree[Array]:
        """The damped solution with kept factors."""
        parts = [vector] if state.layout is None else state.layout.join(vector)
        solved = [
            factor.solve(part, jnp.asarray(damping, part.dtype), self.damping)
            for factor, part in zip(state.factors, parts, strict=True)
        ]
        return solved[0] if state.layout is None else state.layout.split(solved)

    def transpose(
        self, state: BlockwiseState, options: dict[str, Any]
    ) -> tuple[BlockwiseState, dict[str, Any]]:
        return state, options

    def conj(
        self, state: BlockwiseState, options: dict[str, Any]
    ) -> tuple[BlockwiseState, dict[str, Any]]:
        return state, options

    def assume_full_rank(self) -> bool:
        return False


def clipped(state: BlockwiseState) -> Int[Array, ""]:
    """How many eigenvalues were negative beyond rounding."""
    return jnp.sum(jnp.stack([factor.clipped for factor in state.factors]))


def factor_block(block: lx.AbstractLinearOperator) -> Factor:
    """The factor of one block.

    Raises TypeError for an operator without such a form, ValueError for a complex one.
    """
    if is_complex(block.in_structure()):
        msg = (
            "`operator` is complex, but the eigenvectors of Kronecker factors are real here: take"
            " Cholesky() for a dense one."
        )
        raise ValueError(msg)
    if isinstance(block, Stacked):
        return StackedFactor(jax.vmap(factor_block)(block.blocks))
    if isinstance(block, UnitWise):
        found, vectors = symmetric_eigen(block.values)
        return UnitFactor(_nonnegative(found)[0], vectors, _nonnegative(found)[1])
    if isinstance(block, Kronecker):
        (g, left, lost), (a, right, more) = _left_spectrum(block.left), _spectrum(block.right)
        return EigenFactor(left, right, g[:, None] * a[None, :], (g, a), lost + more)
    if isinstance(block, EigenKronecker):
        values, lost = _nonnegative(block.values)
        return EigenFactor(block.left, block.right, values, None, lost)
    if isinstance(block, KroneckerSum):
        return SumFactor(block.products, jnp.asarray(0, jnp.result_type(int)))
    if lx.is_diagonal(block):
        return DiagonalFactor(*_nonnegative(lx.diagonal(block)))
    msg = (
        f"`operator` is a {type(block).__name__}, and Blockwise solves BlockDiagonal, Kronecker,"
        " EigenKronecker, KroneckerSum, UnitWise, Stacked and diagonal operators only: take"
        " Cholesky() for a dense one."
    )
    raise TypeError(msg)


def _left_spectrum(factor: Array) -> tuple[Array, Array | None, Array]:
    """A diagonal factor is its own spectrum."""
    if factor.ndim == 2:
        return _spectrum(factor)
    values, lost = _nonnegative(factor)
    return values, None, lost


def _spectrum(matrix: Array) -> tuple[Array, Array, Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    values, lost = _nonnegative(values)
    return values, vectors, lost


def _nonnegative(values: Array) -> tuple[Array, Array]:
    """Eigenvalues without negative ones, and the number of those that rounding does not explain."""
    rounding = jnp.finfo(values.dtype).eps * values.size * jnp.max(jnp.abs(values), initial=0)
    return jnp.maximum(values, 0), jnp.sum((values < -rounding).astype(jnp.int32))


def _inverse(values: Array, damping: Array) -> Array:
    """1 / values; without damping, zero for those that are zero to rounding."""
    rounding = jnp.finfo(values.dtype).eps * max(values.shape) * jnp.max(values, initial=0)
    vanishing: Bool[Array, "..."] = (damping <= 0) & (values <= rounding)
    return jnp.where(vanishing, 0, 1 / jnp.where(vanishing, 1, values))
