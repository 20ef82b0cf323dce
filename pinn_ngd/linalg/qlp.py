"""Damped least squares by Cholesky factors that stay accurate for tiny dampings.

Two QR factorizations grade a matrix: A = Z U Q^H with U triangular, its rows falling in size like
the singular values (G. W. Stewart, SIAM J. Sci. Comput. 20, 1999, there with pivoting, called QLP).
Let k be the condition number of U with all rows scaled to length one. The Cholesky factor of
U U^H + damping I is accurate to eps k^2 row by row for every damping (Demmel and Veselic, SIAM J.
Matrix Anal. Appl. 13, 1992), although that of A A^H + damping I is lost to rounding as soon as the
damping is below eps |A|^2. Without pivoting k can be anything; for Jacobians of networks it was 70
to 3,000. It is measured, and where eps k^2 is above sqrt(eps) singular values take the place of U.
The two triangles cost a half of QR and SVD, and each damping n^3 / 3 operations for the smaller
side n of A.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int, Real

from .operators import adjoint_matvec, matvec
from .spectral import corrected
from .tall import gram_matrix, thin_qr, triangle, triangle_by_blocks

# Only the Gram matrix is formed where the smallest damping is at least this multiple of
# eps |A|_F^2. A Cholesky factor of it perturbs A A^H by some eps |A|^2, a relative error of some
# eps |A|^2 / damping in the solution, below 1/45, and each step of refinement reduces the error by
# such a factor. Measured at this multiple it was 4e-6 on Jacobians of networks, and 3e-3 on
# matrices of a few columns whose singular values fall to 1e-12.
GRAM_THRESHOLD = 45.0
REFINEMENTS = 3


class QLPFactor(eqx.Module):
    """A = Z U Q^H of a wide (n, p) matrix, A^H = Z U Q^H of a tall one, with m = min(n, p).

    `rotation` is Z (m, m) and `product` is U U^H. Of a wide matrix `inner` is U^H and `basis` is Q
    (p, m); a tall one needs neither and has empty ones. Where only the Gram matrix was formed
    (`from_gram`) Z and U^H are identities, `product` is the Gram matrix and `basis` is A^H.
    `values` are the moduli of U's diagonal, or of that of the Gram matrix's Cholesky factor: rough
    singular values, all between the smallest and the largest singular value.
    """

    matrix: Inexact[Array, "n p"]
    rotation: Inexact[Array, "m m"]
    product: Inexact[Array, "m m"]
    inner: Inexact[Array, "a b"]
    basis: Inexact[Array, "q a"]
    values: Float[Array, " m"]
    from_gram: Bool[Array, ""]

    @property
    def dtype(self) -> Any:
        """The type of the numbers of A."""
        return self.matrix.dtype

    @property
    def is_wide(self) -> bool:
        return _is_wide(self.matrix)

    def lower(self, damping: Real[Array, ""]) -> Inexact[Array, "m m"]:
        """The Cholesky factor of U U^H + damping I; not a number where that is not definite."""
        shift = damping.astype(self.product.dtype) * jnp.eye(
            len(self.product), dtype=self.product.dtype
        )
        return _cholesky(self.product + shift)

    def solve(
        self,
        lower: Inexact[Array, "m m"],
        target: Inexact[Array, " n"],
        damping: Real[Array, ""],
    ) -> Inexact[Array, " p"]:
        """argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2, with the `lower` of the damping.

        Where only the Gram matrix was formed the solution is refined: its errors are corrected by
        the residual b - A x, which A itself gives.
        """
        matrix, scalar = self.matrix, damping.astype(self.dtype)
        if self.is_wide:
            return self._wide(lower, target, scalar)
        return self._tall(
            lower,
            adjoint_matvec(matrix, target),
            lambda x: adjoint_matvec(matrix, target - matvec(matrix, x)) - scalar * x,
        )

    def solve_gradient(
        self,
        lower: Inexact[Array, "m m"],
        gradient: Inexact[Array, " p"],
        damping: Real[Array, ""],
    ) -> Inexact[Array, " p"]:
        """(A^H A + damping I)^-1 g.

        Of a wide matrix (g - A^H (A A^H + damping I)^-1 A g) / damping, which loses digits where
        the damping is small.
        """
        matrix, scalar = self.matrix, damping.astype(self.dtype)
        if self.is_wide:
            return (gradient - self._wide(lower, matvec(matrix, gradient), scalar)) / scalar
        return self._tall(
            lower,
            gradient,
            lambda x: gradient - adjoint_matvec(matrix, matvec(matrix, x)) - scalar * x,
        )

    def rank(self) -> Int[Array, ""]:
        """How many of the `values` are above rounding error."""
        cut = jnp.finfo(self.values.dtype).eps * max(self.matrix.shape)
        # The shift under the root in `_gram_route` lifts every value to the cut.
        cut = jnp.where(self.from_gram, 2 * cut**0.5, cut).astype(self.values.dtype)
        return jnp.sum(self.values > cut * jnp.max(self.values, initial=0))

    @property
    def condition(self) -> Float[Array, ""]:
        """The largest over the smallest of the `values`: a lower bound of the condition number."""
        if not self.values.size:
            return jnp.ones((), self.values.dtype)
        return jnp.max(self.values) / jnp.min(self.values)

    def _wide(self, lower: Array, target: Array, damping: Array) -> Array:
        def left(inside: Array) -> Array:
            x = matvec(self.basis, inside)
            return target - matvec(self.matrix, x) - damping * inside

        def by_gram() -> Array:
            inside = _refined(_solve(lower, target), lambda y: _solve(lower, left(y)))
            return matvec(self.basis, inside)

        def graded() -> Array:
            inside = _solve(lower, adjoint_matvec(self.rotation, target))
            return matvec(self.basis, matvec(self.inner, inside))

        return jax.lax.cond(self.from_gram, by_gram, graded)

    def _tall(self, lower: Array, gradient: Array, left: Callable[[Array], Array]) -> Array:
        """`left(x)` is the residual g - (A^H A + damping I) x."""

        def by_gram() -> Array:
            return _refined(_solve(lower, gradient), lambda x: _solve(lower, left(x)))

        def graded() -> Array:
            turned = adjoint_matvec(self.rotation, gradient)
            return matvec(self.rotation, _solve(lower, turned))

        return jax.lax.cond(self.from_gram, by_gram, graded)


def qlp_factor(
    matrix: Inexact[Array, "n p"], smallest_damping: Real[Array, ""] | None = None
) -> QLPFactor:
    """Factor a dense (n, p) matrix for `QLPFactor.solve`.

    Only its Gram matrix is formed where `smallest_damping` >= 45 eps |A|_F^2 (1e-14 |A|_F^2 in
    float64) makes that accurate enough, decided at run time.
    """
    if matrix.size == 0:  # LAPACK would abort the process
        none = jnp.zeros((0, 0), matrix.dtype)
        values = jnp.zeros((0,), jnp.finfo(matrix.dtype).dtype)
        return QLPFactor(matrix, none, none, none, none, values, jnp.asarray(False))
    if smallest_damping is None:
        return QLPFactor(matrix, *_graded_route(matrix), jnp.asarray(False))
    threshold = GRAM_THRESHOLD * float(jnp.finfo(matrix.dtype).eps) * jnp.sum(jnp.abs(matrix) ** 2)
    from_gram = jnp.asarray(smallest_damping, threshold.dtype) >= threshold
    rotation, product, inner, basis, values = jax.lax.cond(
        from_gram, _gram_route, _graded_route, matrix
    )
    return QLPFactor(matrix, rotation, product, inner, basis, values, from_gram)


def _graded_route(matrix: Array) -> tuple[Array, Array, Array, Array, Array]:
    none = jnp.zeros((0, 0), matrix.dtype)
    if _is_wide(matrix):
        basis, first = thin_qr(_adjoint(matrix))
    else:
        basis, first = none, triangle(matrix)
    rotation, upper = jnp.linalg.qr(_adjoint(first))
    rotation, upper, values = jax.lax.cond(
        is_graded(upper),
        lambda: (rotation, upper, jnp.abs(jnp.diagonal(upper))),
        lambda: _by_singular_values(_adjoint(first)),
    )
    inner = _adjoint(upper) if _is_wide(matrix) else none
    product = triangle_by_blocks(upper, 0)  # every device has all of the triangle
    return rotation, product, inner, basis, values


def is_graded(upper: Inexact[Array, "m m"]) -> Bool[Array, ""]:
    """Whether the rows of a triangle, scaled to length one, are far from linearly dependent.

    The Frobenius norm of the inverse of the scaled triangle, which is its condition number k up to
    a factor m, is at most eps^(-1/4): 8,000 in double precision, and 50 in single. A row of zeros
    counts as one of the identity.
    """
    lengths = jnp.linalg.norm(upper, axis=1)[:, None].astype(upper.dtype)
    identity = jnp.eye(len(upper), dtype=upper.dtype)
    scaled = jnp.where(lengths == 0, identity, upper / jnp.where(lengths == 0, 1, lengths))
    inverse = jax.scipy.linalg.solve_triangular(scaled, identity)
    most = float(jnp.finfo(upper.dtype).eps) ** -0.25
    return jnp.linalg.norm(inverse) <= most  # false for what is not a number


def _by_singular_values(matrix: Array) -> tuple[Array, Array, Array]:
    """Z, U and the singular values s of Z U with U U^H = s^2."""
    rotation, values, right = jnp.linalg.svd(matrix)
    return rotation, values[:, None].astype(right.dtype) * right, values


def _gram_route(matrix: Array) -> tuple[Array, Array, Array, Array, Array]:
    none = jnp.zeros((0, 0), matrix.dtype)
    product = gram_matrix(matrix, of_rows=_is_wide(matrix))
    identity = jnp.eye(len(product), dtype=matrix.dtype)
    largest = jnp.max(jnp.abs(jnp.diagonal(product)))
    least = (jnp.finfo(matrix.dtype).eps * max(matrix.shape) * largest).astype(matrix.dtype)
    values = jnp.abs(jnp.diagonal(_cholesky(product + least * identity)))
    inner, basis = (identity, _adjoint(matrix)) if _is_wide(matrix) else (none, none)
    return identity, product, inner, basis, values


def _refined(x: Array, correction: Callable[[Array], Array]) -> Array:
    """After steps of iterative refinement, three at most, until one hardly changes anything."""
    enough = float(jnp.finfo(x.dtype).eps) ** 0.375  # 1e-6 in double precision
    rough = jnp.asarray(True)

    def refined(x: Array) -> tuple[Array, Array]:
        better = corrected(x, correction)
        return better, jnp.linalg.norm(better - x) > enough * jnp.linalg.norm(x)

    for _ in range(REFINEMENTS):
        x, rough = jax.lax.cond(rough, refined, lambda x: (x, jnp.asarray(False)), x)
    return x


def _cholesky(product: Array) -> Array:
    """The factor of a matrix that is Hermitian as it stands."""
    return jnp.linalg.cholesky(product, symmetrize_input=False)


def _solve(lower: Array, vector: Array) -> Array:
    return jax.scipy.linalg.cho_solve((lower, True), vector)


def _adjoint(matrix: Array) -> Array:
    return matrix.conj().T


def _is_wide(matrix: Array) -> bool:
    return matrix.shape[0] < matrix.shape[1]
