"""Functions f(A) v of a positive semidefinite operator: dense, low rank plus damping, or Krylov.

A spectrum answers `apply(functions, v)`, one result a function, for scalar functions f that are
smooth on a >= 0, and `measure()`: nodes and weights with trace f(A) / n = sum_i w_i f(a_i).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, Real

from ..linalg._ravel import dtype_of, ravel, unravel
from ..linalg.damped import gram
from ..linalg.kernel_matrix import kernel_matrix
from ..linalg.operators import HIGHEST, JacobianRows, adjoint_matvec, matvec
from .arrays import ResistorArrays
from .factors import as_gram
from .failures import is_indefinite

Scalar = Callable[[Array], Array]
PROBES = 20
FEW = 64  # unknowns up to which all eigenvalues cost hardly more products than an estimate
Measure = tuple[Inexact[Array, " nodes"], Inexact[Array, " nodes"]]


class DenseSpectrum(eqx.Module):
    """All eigenvalues and eigenvectors of a stored matrix, plus damping I: O(n^3) once."""

    products: ClassVar[int] = 0  # the eigenvalues are stored
    values: Inexact[Array, " n"]
    vectors: Inexact[Array, "n n"]
    damping: Real[ArrayLike, ""] = 0.0

    def apply(self, functions: Sequence[Scalar], v: Inexact[Array, " n"]) -> list[Array]:
        coefficients = adjoint_matvec(self.vectors, v)
        values = jnp.maximum(self._shifted(self.values), 0)
        return [matvec(self.vectors, f(values) * coefficients) for f in functions]

    def measure(self) -> Measure:
        return self._shifted(self.values), jnp.full_like(self.values, 1 / self.values.size)

    @property
    def rounding(self) -> Inexact[Array, ""]:
        return _rounding(self.values)

    def _shifted(self, values: Array) -> Array:
        return values + jnp.asarray(self.damping, values.dtype)


class LowRankSpectrum(eqx.Module):
    """A^T A + damping I with a wide A of m rows, from the eigenvalues s of A A^T = W s W^T.

    f(A^T A + damping I) v = f(damping) v + A^T W h(s) W^T A v with the secant slope
    h(s) = (f(s + damping) - f(damping)) / s. Memory beyond A's own: O(m^2).

    Where v = A^T y lies in the row space and f(damping) is much larger than f(s + damping), the
    two terms cancel, and the rounding of v itself is multiplied by f(damping): `apply_rows`, which
    is told y, has neither term.
    """

    products: ClassVar[int] = 0  # the eigenvalues are stored
    operator: lx.AbstractLinearOperator
    values: Inexact[Array, " m"]
    vectors: Inexact[Array, "m m"]
    damping: Inexact[Array, ""]

    def apply(self, functions: Sequence[Scalar], v: Inexact[Array, " n"]) -> list[Array]:
        inner = adjoint_matvec(self.vectors, flat_product(self.operator)(v))
        back = flat_product(self.operator.transpose())
        level = self.damping[None].astype(v.dtype)

        def one(f: Scalar) -> Array:
            return f(level) * v + back(matvec(self.vectors, self._slope(f, level) * inner))

        return [one(f) for f in functions]

    def apply_rows(self, functions: Sequence[Scalar], y: Inexact[Array, " m"]) -> list[Array]:
        """f(A^T A + damping I) A^T y = A^T W f(s + damping) W^T y, in the row space throughout."""
        inner = adjoint_matvec(self.vectors, y)
        back = flat_product(self.operator.transpose())
        values = self.values + self.damping.astype(self.values.dtype)
        return [back(matvec(self.vectors, f(values) * inner)) for f in functions]

    def measure(self) -> Measure:
        return _with_flat(self.values, self.damping, self.operator.in_size())

    @property
    def rounding(self) -> Inexact[Array, ""]:
        return _rounding(self.values)

    def _slope(self, f: Scalar, level: Array) -> Array:
        # Eigenvalues below the rounding of A A^T are noise. There the slope of a smooth f is that
        # at the noise level, and nothing is divided by noise: A^T W has norm sqrt(s), so that the
        # cancellation in the difference costs no more than the rounding of f(damping) v.
        noise = jnp.finfo(level.dtype).eps * self.values.size * jnp.max(jnp.abs(self.values))
        s = jnp.maximum(self.values, jnp.where(noise > 0, noise, 1))
        return (f(s + level) - f(level)) / s


class ThinSpectrum(eqx.Module):
    """V diag(s) V^T + damping I with m orthonormal columns of V; s may have either sign.

    Sums s + damping below -`slack` are taken as that.
    """

    products: ClassVar[int] = 0  # the eigenvalues are stored
    values: Inexact[Array, " m"]
    vectors: Inexact[Array, "n m"]
    damping: Inexact[Array, ""]
    rounding: Inexact[Array, ""]  # of the eigenvalues, computed from matrices of larger scale
    slack: Inexact[Array, ""]

    def apply(self, functions: Sequence[Scalar], v: Inexact[Array, " n"]) -> list[Array]:
        level = self.damping[None].astype(v.dtype)
        inner = adjoint_matvec(self.vectors, v)
        values = jnp.maximum(self.values + level, -self.slack)
        found = [matvec(self.vectors, f(values) * inner) for f in functions]
        if self._complete:  # what is left of v is rounding, and f(damping) may be large
            return found
        outside = v - matvec(self.vectors, inner)
        return [f(level) * outside + part for f, part in zip(functions, found, strict=True)]

    def measure(self) -> Measure:
        if self._complete:
            nodes = self.values + self.damping.astype(self.values.dtype)
            return nodes, jnp.full_like(nodes, 1 / nodes.size)
        return _with_flat(self.values, self.damping, self.vectors.shape[0])

    @property
    def _complete(self) -> bool:
        """Whether the eigenvectors are all there are."""
        return self.vectors.shape[0] == self.vectors.shape[1]


def _rounding(values: Inexact[Array, " m"]) -> Inexact[Array, ""]:
    """How far an eigensolver may miss the eigenvalues of a matrix."""
    return 10 * values.size * float(jnp.finfo(values.dtype).eps) * jnp.max(jnp.abs(values))


def _with_flat(values: Inexact[Array, " m"], damping: Array, n: int) -> Measure:
    """The measure of m eigenvalues and n - m zeros, all of them shifted by the damping."""
    nodes = jnp.append(values, 0) + damping.astype(values.dtype)
    return nodes, jnp.ones_like(nodes).at[-1].set(n - values.size) / n


class KrylovSpectrum(eqx.Module):
    """f(A) v from `products` products with A, by Lanczos; memory products x n.

    Error: that of the best polynomial approximation of f of degree products - 1 on the spectrum
    (Saad, SIAM J. Numer. Anal. 1992); not a number where the projected A is indefinite. All basis
    vectors are kept and reorthogonalized: they are needed for f(A) v anyway, and without
    orthogonality converged eigenvalues come back as copies, which spend products on nothing. No
    `measure`: see `measure_of`.
    """

    operator: lx.AbstractLinearOperator
    products: int = eqx.field(static=True)
    slack: Real[ArrayLike, ""] = 0.0  # eigenvalues so far below zero are allowed

    def apply(self, functions: Sequence[Scalar], v: Inexact[Array, " n"]) -> list[Array]:
        basis, values, vectors = lanczos(flat_product(self.operator), v, self.products)
        # They lie within the spectrum, and see more of it than a probe with a random vector.
        slack = jnp.asarray(self.slack, values.dtype)
        unsound = is_indefinite(values, jnp.maximum(_rounding(values), slack))
        scale = jnp.where(unsound, jnp.nan, 1) * jnp.linalg.norm(v) * vectors[0]
        values = jnp.maximum(values, -slack)
        return [adjoint_matvec(basis, matvec(vectors, f(values) * scale)) for f in functions]


WholeSpectrum = DenseSpectrum | LowRankSpectrum | ThinSpectrum


def lanczos(product: Scalar, v: Inexact[Array, " n"], steps: int) -> tuple[Array, Array, Array]:
    """Orthonormal basis (steps, n) of the Krylov space of v; eigenpairs of A projected on it."""
    norm = jnp.linalg.norm(v)
    start = v / jnp.where(norm > 0, norm, 1)
    eps = jnp.finfo(v.dtype).eps

    def step(carry: tuple, i: Array) -> tuple[tuple, tuple[Array, Array]]:
        basis, q, scale = carry
        basis = basis.at[i].set(q)
        w = product(q)
        alpha = q @ w
        for _ in range(2):  # once leaves the digits that cancelled; twice is enough
            w = w - adjoint_matvec(basis, matvec(basis, w))
        beta = jnp.linalg.norm(w)
        scale = jnp.maximum(scale, jnp.abs(alpha) + beta)
        # An invariant space is exhausted: zero vectors follow, with weight zero in the result.
        exhausted = beta <= 10 * eps * scale
        beta = jnp.where(exhausted, 0, beta)
        q = jnp.where(exhausted, 0, w / jnp.where(exhausted, 1, beta))
        return (basis, q, scale), (alpha, beta)

    empty = jnp.zeros((steps, v.size), v.dtype)
    carry = empty, start, jnp.zeros((), v.dtype)
    (basis, _, _), (alpha, beta) = jax.lax.scan(step, carry, jnp.arange(steps))
    return basis, *_tridiagonal(alpha, beta)


def measure_of(operator: lx.AbstractLinearOperator) -> tuple[Measure, int]:
    """The measure of an operator that is known by products, and how many of them it took.

    All eigenvalues of few unknowns; beyond `FEW` those of `probe`, with which means of f over the
    spectrum err by about sqrt(2 / n) times the spread of f, and more where f varies below the
    smallest eigenvalue that so few products find.
    """
    n = operator.in_size()
    if n > FEW:
        return probe(operator), PROBES
    matrix = operator.as_matrix()
    values = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)
    return (values, jnp.full_like(values, 1 / n)), n


def probe(operator: lx.AbstractLinearOperator, products: int = PROBES) -> Measure:
    """Gauss quadrature of the spectrum of A from one random vector (Golub and Meurant 1994).

    A Lanczos process that keeps three vectors, so that memory is O(n). The extreme nodes lie
    inside of the spectrum and approach its ends, much faster than power iteration does.
    """
    structure = operator.in_structure()
    n, dtype = operator.in_size(), dtype_of(structure)
    product = flat_product(operator)
    start = jax.random.normal(jax.random.key(0), (n,), dtype)

    def step(carry: tuple, _: None) -> tuple[tuple, tuple[Array, Array]]:
        before, q, beta = carry
        w = product(q) - beta * before
        alpha = q @ w
        w = w - alpha * q
        following = jnp.linalg.norm(w)
        exhausted = following <= 1e3 * jnp.finfo(dtype).eps * (jnp.abs(alpha) + beta)
        following = jnp.where(exhausted, 0, following)
        unit = jnp.where(exhausted, 0, w / jnp.where(exhausted, 1, following))
        return (q, unit, following), (alpha, following)

    carry = jnp.zeros_like(start), start / jnp.linalg.norm(start), jnp.zeros((), dtype)
    steps = min(products, n)
    values, vectors = _tridiagonal(*jax.lax.scan(step, carry, None, length=steps)[1])
    weights = vectors[0] ** 2
    # Nodes without weight stand for the zero vectors after an exhausted space.
    seen = weights > 10 * jnp.finfo(dtype).eps ** 2
    middle = jnp.sum(weights * values)
    return jnp.where(seen, values, middle), jnp.where(seen, weights, 0)


def _tridiagonal(alpha: Array, beta: Array) -> tuple[Array, Array]:
    matrix = jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1)
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


def spectrum_of(
    operator: lx.AbstractLinearOperator, slack: Real[ArrayLike, ""] = 0.0
) -> WholeSpectrum:
    """The whole spectrum, from the smaller side of A where the operator is A^T A + damping I.

    The damping of a Gram operator is kept apart from the eigenvalues: another one is a shift.
    `slack` is that of `ThinSpectrum`, for arrays.
    """
    if isinstance(operator, ResistorArrays):
        return _spectrum_of_arrays(operator, slack)
    factored = as_gram(operator)
    if factored is None:
        matrix = operator.as_matrix()
        return DenseSpectrum(*jnp.linalg.eigh((matrix + matrix.T) / 2))
    if factored.operator.out_size() < factored.operator.in_size():
        values, vectors = jnp.linalg.eigh(kernel_matrix(factored.operator))
        values = jnp.maximum(values, 0)
        return LowRankSpectrum(factored.operator, values, vectors, factored.damping)
    values, vectors = jnp.linalg.eigh(gram(factored.operator).as_matrix())
    return DenseSpectrum(jnp.maximum(values, 0), vectors, factored.damping)


def _spectrum_of_arrays(operator: ResistorArrays, slack: Any) -> ThinSpectrum:
    # By QR of J^T: its singular values would be squared in J J^T, and H does not forgive that.
    q, r = jnp.linalg.qr(operator.forth.T)
    inner = jnp.matmul(r, operator.weigh(r.T), precision=HIGHEST)
    values, v = jnp.linalg.eigh((inner + inner.T) / 2)
    weight = 1.0 if operator.curvature is None else jnp.max(jnp.abs(operator.curvature))
    rounding = 10 * float(jnp.finfo(r.dtype).eps) * jnp.sum(r**2) * weight
    vectors = jnp.matmul(q, v, precision=HIGHEST)
    slack = jnp.asarray(slack, values.dtype)
    return ThinSpectrum(values, vectors, operator.damping, rounding, slack)


def is_symmetric_product(operator: lx.AbstractLinearOperator) -> bool:
    """Whether an operator is known by factors that make it symmetric."""
    return isinstance(operator, ResistorArrays) or as_gram(operator) is not None


def flat_product(operator: lx.AbstractLinearOperator) -> Scalar:
    """v -> A v on flat vectors."""
    if isinstance(operator, JacobianRows):
        return lambda v: matvec(operator.matrix, v)
    structure = operator.in_structure()
    return lambda v: ravel(operator.mv(unravel(v, structure)), v.dtype)
