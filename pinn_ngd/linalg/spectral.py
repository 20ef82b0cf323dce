"""Damped least squares from one factorization: solve for any damping, any target.

The matrix is factored once into a thin singular value decomposition; afterwards each damping or
right-hand side costs a few products with its vectors.
"""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float, Inexact, Int, Real

from .._names import choose
from .operators import adjoint_matvec, matvec
from .tall import gram_matrix, spread, thin_qr, triangle

Method = Literal["auto", "gram", "qr"]

# "auto" takes the Gram matrix where the smallest damping is at least this multiple of eps |A|_F^2
# (1e-12 |A|_F^2 in float64). The Gram route perturbs A^T A by eps * s_max^2, a relative error of
# eps * s_max^2 / damping in the damped solution: up to 2e-4 here, which one refinement step
# squares. Below, refinement would soon diverge, and the QR route with its error of
# eps * s_max / sqrt(damping) is needed.
GRAM_THRESHOLD = 4500.0


class SpectralFactor(eqx.Module):
    """Thin singular value decomposition of an (n, p) matrix A, with m = min(n, p).

    `vectors` are the singular vectors of the smaller side: right ones (p, p) where n >= p, left
    ones (n, n) where n < p (`left`). Those of the larger side are the product `basis` @ `inner`,
    which is never formed. `from_gram` says whether all of them were computed from the Gram matrix,
    whose singular values below sqrt(eps) s_max are noise.

    For a tall matrix `basis` is A itself: the rounding errors of A^T b come before the filter
    1 / (s^2 + damping) and stay in soft directions, where they change the residual by no more than
    eps s_max / sqrt(damping). A wide matrix would be multiplied after the filter, and
    A^T (s^2 + damping)^-1 spreads rounding errors over the stiff directions as soon as
    damping < eps s_max^2. There `basis` is orthonormal, and s / (s^2 + damping) stays accurate
    down to eps^2 s_max^2.
    """

    matrix: Inexact[Array, "n p"]
    singular_values: Float[Array, " m"]
    vectors: Inexact[Array, "m m"]
    basis: Inexact[Array, "q m"]
    inner: Inexact[Array, "m m"]
    from_gram: Bool[Array, ""]
    left: bool = eqx.field(static=True)

    @property
    def dtype(self) -> Any:
        """The type of the numbers of A."""
        return self.matrix.dtype

    def solve(
        self,
        target: Inexact[Array, " n"],
        damping: Real[ArrayLike, ""],
        *,
        rcond: float | None = None,
        refine: bool = True,
    ) -> Inexact[Array, " p"]:
        """argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2, of shape (p,).

        With A = L diag(s) R^H: R diag(s / (s^2 + damping)) L^H b. A damping of exactly zero means
        the pseudo-inverse: singular values up to `rcond` * s_max are dropped (default
        eps * max(n, p), its square root where the Gram matrix was factored).

        `refine` adds one step of iterative refinement with the residual of A itself (Bjorck,
        Linear Algebra Appl. 1987): two more products with A, and the square of the Gram route's
        relative error eps * s_max^2 / damping.
        """
        matrix, damping = self.matrix, self._scalar(damping)
        s = self.singular_values.astype(matrix.dtype)
        inverse = self._inverse(damping, rcond)

        def correction(x: Array) -> Array:
            residual = target - matvec(matrix, x)
            if self.left:  # of (A A^T + damping) y = b, with x = A^T y
                residual = residual - damping * self._filtered(target, damping, rcond)
                return self._from_right(inverse * s * self._to_left(residual))
            stiff = s * self._to_left(residual)
            return self._from_right(inverse * (stiff - damping * adjoint_matvec(self.vectors, x)))

        x = self._from_right(inverse * s * self._to_left(target))
        return corrected(x, correction) if refine else x

    def solve_gradient(
        self,
        gradient: Inexact[Array, " p"],
        damping: Real[ArrayLike, ""],
        *,
        rcond: float | None = None,
        refine: bool = True,
    ) -> Inexact[Array, " p"]:
        """(A^T A + damping I)^-1 g, of shape (p,), with one step of refinement as in `solve`.

        Wide: (g - A^T (A A^T + damping I)^-1 A g) / damping. Rounding errors eps |g| outside of
        the row space of A are divided by the damping where the wanted part is divided by
        s^2 + damping. Refinement wins back what the formula loses, not what the rounding of g
        lost: where g = A^T b is known, use `solve` with target b. For the same reason a damping of
        zero drops singular values up to sqrt(eps max(n, p)) s_max by default. Raises ValueError
        for a wide matrix with zero damping, where no inverse exists (NaN where that is traced).
        """
        if self.left and is_zero(damping):
            msg = (
                "`damping` is 0, but A^T A of a matrix with fewer rows than columns is singular:"
                " use a positive damping, or pass the `target` b with g = A^T b."
            )
            raise ValueError(msg)
        matrix, damping = self.matrix, self._scalar(damping)
        if rcond is None:
            rcond = (float(jnp.finfo(matrix.dtype).eps) * max(matrix.shape)) ** 0.5

        def apply(vector: Array) -> Array:
            if not self.left:
                return self._filtered(vector, damping, rcond)
            inside = self._filtered(matvec(matrix, vector), damping, rcond)
            safe = jnp.where(damping.real > 0, damping, jnp.nan)
            return (vector - adjoint_matvec(matrix, inside)) / safe

        def correction(x: Array) -> Array:
            return apply(gradient - adjoint_matvec(matrix, matvec(matrix, x)) - damping * x)

        x = apply(gradient)
        return corrected(x, correction) if refine else x

    @property
    def condition(self) -> Float[Array, ""]:
        """s_max / s_min: infinite where s_min = 0, and 1 for a matrix without entries."""
        s = self.singular_values
        return s[0] / s[-1] if s.size else jnp.ones((), s.dtype)

    def rank(self, rcond: float | None = None) -> Int[Array, ""]:
        """Number of singular values above `rcond` * s_max (defaults as in `solve`)."""
        return jnp.sum(self._kept(rcond))

    def transpose(self) -> "SpectralFactor":
        """The factor of A^T: the same vectors on the other side.

        The factor of a tall matrix has no orthonormal basis, so that its transpose is accurate for
        dampings above eps s_max^2 only. Factor A^T itself where smaller dampings are needed.
        """
        other = self.conj()
        parts = other.singular_values, other.vectors, other.basis, other.inner
        return SpectralFactor(self.matrix.T, *parts, self.from_gram, not self.left)

    def conj(self) -> "SpectralFactor":
        """The factor of the conjugate matrix; the factor of a real matrix is returned unchanged."""
        return jax.tree.map(jnp.conj, self) if jnp.iscomplexobj(self.matrix) else self

    def _from_right(self, coefficients: Array) -> Array:
        if self.left:
            return matvec(self.basis, matvec(self.inner, coefficients))
        return matvec(self.vectors, coefficients)

    def _to_left(self, y: Array) -> Array:
        if self.left:
            return adjoint_matvec(self.vectors, y)
        return adjoint_matvec(self.inner, adjoint_matvec(self.basis, y))

    def _scalar(self, damping: Any) -> Array:
        return jnp.asarray(damping, dtype=self.matrix.dtype)

    def _inverse(self, damping: Array, rcond: float | None) -> Inexact[Array, " m"]:
        """1 / (s^2 + damping), zero where the pseudo-inverse drops a direction."""
        keep = (damping != 0) | self._kept(rcond)
        shifted = jnp.where(keep, (self.singular_values**2).astype(damping.dtype) + damping, 1)
        return jnp.where(keep, 1 / shifted, 0)

    def _filtered(self, vector: Array, damping: Array, rcond: float | None) -> Array:
        """vectors (s^2 + damping)^-1 vectors^T vector."""
        inverse = self._inverse(damping, rcond)
        return matvec(self.vectors, inverse * adjoint_matvec(self.vectors, vector))

    def _kept(self, rcond: float | None) -> Bool[Array, " m"]:
        s = self.singular_values
        largest = jnp.max(s, initial=0)
        if rcond is not None:
            return s > rcond * largest
        cut = jnp.finfo(s.dtype).eps * max(self.matrix.shape)
        return s > jnp.where(self.from_gram, cut**0.5, cut).astype(s.dtype) * largest


def corrected(x: Array, correction: Callable[[Array], Array]) -> Array:
    """A solution after one step of iterative refinement."""
    step = correction(x)
    # Where the correction is as large as the solution, refinement diverges and is left out.
    sound = jnp.linalg.norm(step) <= 0.5 * jnp.linalg.norm(x)
    return jnp.where(sound, x + step, x)


def spectral_factor(
    matrix: Inexact[Array, "n p"],
    *,
    method: Method = "qr",
    smallest_damping: Real[ArrayLike, ""] | None = None,
) -> SpectralFactor:
    """Factor a dense (n, p) matrix for `SpectralFactor.solve`.

    - "qr": QR of the tall one of A and A^T, then the SVD of R (Chan, ACM TOMS 1982). The errors
      of the singular values are eps s_max. Only a wide matrix needs Q.
    - "gram": eigenvalues of the smaller Gram matrix; two to three times cheaper, but
      singular values below sqrt(eps) s_max are noise.
    - "auto": "gram" where `smallest_damping` >= 4500 eps |A|_F^2 (1e-12 |A|_F^2 in float64) makes
      it accurate enough, decided at run time; "qr" otherwise and where none is given.
    """
    choose(method, ("auto", "gram", "qr"), "`method`")
    if matrix.size == 0:  # LAPACK would abort the process
        return _assemble(matrix, _no_route(matrix), jnp.asarray(False))
    if method == "qr" or (method == "auto" and smallest_damping is None):
        return _assemble(matrix, _qr_route(matrix), jnp.asarray(False))
    if method == "gram":
        return _assemble(matrix, _gram_route(matrix), jnp.asarray(True))
    threshold = GRAM_THRESHOLD * float(jnp.finfo(matrix.dtype).eps) * jnp.sum(jnp.abs(matrix) ** 2)
    from_gram = jnp.asarray(smallest_damping, threshold.dtype) >= threshold
    return _assemble(matrix, jax.lax.cond(from_gram, _gram_route, _qr_route, matrix), from_gram)


def _assemble(
    matrix: Array, parts: tuple[Array, Array, Array, Array], from_gram: Array
) -> SpectralFactor:
    return SpectralFactor(matrix, *parts, from_gram, _is_wide(matrix))


def _adjoint(matrix: Array) -> Array:
    return matrix.conj().T


def _is_wide(matrix: Array) -> bool:
    return matrix.shape[0] < matrix.shape[1]


def _tall(matrix: Array) -> Array:
    return _adjoint(matrix) if _is_wide(matrix) else matrix


def _no_route(matrix: Array) -> tuple[Array, Array, Array, Array]:
    none = jnp.zeros((0, 0), matrix.dtype)
    return jnp.zeros((0,), jnp.finfo(matrix.dtype).dtype), none, _tall(matrix), none


def _qr_route(matrix: Array) -> tuple[Array, Array, Array, Array]:
    if _is_wide(matrix):
        basis, upper = thin_qr(_adjoint(matrix))
        inner, s, right = jnp.linalg.svd(upper, full_matrices=False)
        return s, _adjoint(right), basis, inner
    upper = triangle(matrix)
    _, s, right = jnp.linalg.svd(upper, full_matrices=False)
    return s, _adjoint(right), matrix, _over(_adjoint(right), s)


def _gram_route(matrix: Array) -> tuple[Array, Array, Array, Array]:
    tall = spread(_tall(matrix))
    values, vectors = jnp.linalg.eigh(gram_matrix(matrix, of_rows=_is_wide(matrix)))
    # Rounding makes the smallest eigenvalues negative. A floor far below the noise, not zero, keeps
    # their directions, of which s * inner is the exact vector.
    floor = jnp.finfo(values.dtype).eps ** 2 * values[-1]
    s = jnp.sqrt(jnp.maximum(values[::-1], jnp.maximum(floor, 0)))
    vectors = vectors[:, ::-1]
    return s, vectors, tall, _over(vectors, s)


def _over(vectors: Array, s: Array) -> Array:
    """vectors / s, finite for a singular matrix too."""
    floor = jnp.maximum(s, jnp.finfo(s.dtype).eps ** 2 * s[0])
    return vectors / jnp.where(floor > 0, floor, 1).astype(vectors.dtype)


def is_zero(damping: Any) -> bool:
    """Whether a damping is known to be zero while tracing; False where its value is traced."""
    return not isinstance(damping, Tracer) and bool(damping == 0)
