"""Randomized Nystrom approximations of semidefinite operators, made of products alone."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Real

from ._ravel import dtype_of, hashable, ravel, size, unravel
from .operators import HIGHEST, adjoint_matvec, matvec, register_operator
from .symmetric import AbstractSymmetric

BATCH = 16  # products that are computed at the same time
GROWTH = 4.0  # of the shift, until the core is positive definite
TRIES = 32  # which reach from eps to beyond one


class Nystrom(AbstractSymmetric):
    """B B^T with B (n, k): what `nystrom` makes of an operator M.

    B B^T is the approximation of M + shift I, `shift` being a few eps |M| unless M is indefinite.
    """

    factor: Float[Array, "n k"]
    shift: Float[Array, ""]

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.factor.dtype)
        product = matvec(self.factor, adjoint_matvec(self.factor, flat))
        return unravel(product, self.in_structure())

    def inverse(self, damping: Real[Array, ""]) -> "NystromInverse":
        """(B B^T + damping I)^-1 by one Cholesky factor (k, k), for a positive damping."""
        inner = jnp.matmul(self.factor.T, self.factor, precision=HIGHEST)
        damping = damping.astype(inner.dtype)
        lower = jnp.linalg.cholesky(inner + damping * jnp.eye(len(inner), dtype=inner.dtype))
        return NystromInverse(self.factor, lower, damping, frozen_in=self.frozen_in)

    def eigenpairs(self) -> tuple[Float[Array, " k"], Float[Array, "n k"]]:
        """The eigenvalues of the approximation, in falling order, and orthonormal eigenvectors.

        The shift is taken off again, without going below zero (Frangella, Tropp and Udell 2023,
        Algorithm 2.1). Takes an SVD of B.
        """
        vectors, singular, _ = jnp.linalg.svd(self.factor, full_matrices=False)
        return jnp.maximum(singular**2 - self.shift, 0), vectors


class NystromInverse(AbstractSymmetric):
    """(B B^T + damping I)^-1 = (I - B (B^T B + damping I)^-1 B^T) / damping, by Woodbury."""

    factor: Float[Array, "n k"]
    lower: Float[Array, "k k"]
    damping: Float[Array, ""]

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.factor.dtype)
        inside = jax.scipy.linalg.cho_solve((self.lower, True), adjoint_matvec(self.factor, flat))
        return unravel((flat - matvec(self.factor, inside)) / self.damping, self.in_structure())


class NystromPreconditioner(AbstractSymmetric):
    """P^-1 = (s_k + damping) U (S + damping I)^-1 U^T + (I - U U^T) for M + damping I.

    S and U are eigenvalues s_1 >= ... >= s_k and eigenvectors of an approximation of M. Where s_k
    is the size of what the approximation misses, conjugate gradients on M + damping I take a number
    of iterations that does not depend on its condition number (Frangella, Tropp and Udell, SIAM J.
    Matrix Anal. Appl. 2023).
    """

    values: Float[Array, " k"]
    vectors: Float[Array, "n k"]
    damping: Float[Array, ""]

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.vectors.dtype)
        inside = adjoint_matvec(self.vectors, flat)
        gains = (self.values[-1] + self.damping) / (self.values + self.damping) - 1
        return unravel(flat + matvec(self.vectors, gains * inside), self.in_structure())


for _class in (Nystrom, NystromInverse, NystromPreconditioner):
    register_operator(_class)


def nystrom(operator: lx.AbstractLinearOperator, rank: int, key: PRNGKeyArray) -> Nystrom:
    """B B^T ~ M for a real symmetric semidefinite `operator` M, by `rank` products with it.

    With a Gaussian W (n, k), k = min(rank, n), Y = M W + shift W and C C^T = W^T Y,

        B = Y C^-T,    B B^T = Y (W^T Y)^-1 Y^T.

    It is exact to rounding where the rank of M is not above k, and never above M + shift I. It
    takes one Cholesky factor (k, k) and no QR or SVD of the n x k matrices, which are slow on GPUs
    (Guzman-Cordero, Dangel, Goldshlager and Zeinhofer, NeurIPS 2025, Algorithm 2; the approximation
    depends on the range of W alone, so that W need not be orthonormal). The shift starts at
    eps |M W|_F and grows by factors of 4 until W^T Y is positive definite in floating-point
    numbers; that takes it beyond the smallest eigenvalue that W sees where M is indefinite. Where k
    is n, W is the identity and B the Cholesky factor of M. Raises ValueError for a rank below one.
    """
    if rank < 1:
        raise ValueError(f"`rank` is {rank}; an approximation needs a rank of one or more.")
    structure = operator.in_structure()
    n, dtype = size(structure), dtype_of(structure)
    k = min(rank, n)
    whole = jnp.eye(n, dtype=dtype)
    test = whole if k == n else jax.random.normal(key, (n, k), dtype) / jnp.sqrt(n).astype(dtype)
    image = products(operator, test)
    core = jnp.matmul(test.T, image, precision=HIGHEST)
    core, overlap = (core + core.T) / 2, jnp.matmul(test.T, test, precision=HIGHEST)

    def attempt(shift: Array) -> Array:
        return jnp.linalg.cholesky(core + shift * overlap)

    def failed(carry: tuple[Array, Array, Array]) -> Array:
        return ~jnp.all(jnp.isfinite(carry[1])) & (carry[2] < TRIES)

    def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        shift = GROWTH * carry[0]
        return shift, attempt(shift), carry[2] + 1

    floor = jnp.finfo(dtype)
    first = jnp.maximum(floor.eps * jnp.linalg.norm(image), floor.tiny)
    start = first, attempt(first), jnp.asarray(0, jnp.int32)
    shift, lower, _ = jax.lax.while_loop(failed, again, start)
    shifted = image + shift * test
    factor = jax.scipy.linalg.solve_triangular(lower, shifted.T, lower=True).T
    return Nystrom(factor, shift, frozen_in=hashable(structure))


def products(
    operator: lx.AbstractLinearOperator, vectors: Float[Array, "p k"]
) -> Float[Array, "n k"]:
    """The operator applied to every column, some at a time."""
    structure, dtype = operator.in_structure(), vectors.dtype

    def one(column: Array) -> Array:
        return ravel(operator.mv(unravel(column, structure)), dtype)

    return jax.lax.map(one, vectors.T, batch_size=min(vectors.shape[1], BATCH)).T
