"""Sums of Kronecker products, and what solves with them once they are damped."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int

from .calling import linear_solve
from .kronecker import Kronecker
from .operators import HIGHEST, register_operator

RTOL, ITERATIONS = 1e-10, 500  # of conjugate gradients, for three products and more
ROUNDINGS = 10  # in units of which RTOL is no smaller
_PSD = frozenset({lx.positive_semidefinite_tag})


@register_operator
class KroneckerSum(lx.AbstractLinearOperator):
    """D -> sum_t G_t D A_t for matrices D (o, i), with symmetric semidefinite G_t and A_t.

    The block of a layer in an objective of several terms has one product for each: in K-FAC for
    PINNs those of the interior and of the boundary (Dangel, Mueller and Zeinhofer, NeurIPS 2024).
    Raises ValueError for no product, and for products of different sizes.
    """

    products: tuple[Kronecker, ...]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def __init__(self, products: Sequence[Kronecker]):
        self.products, self.tags = tuple(products), _PSD
        sizes = sorted({product.in_structure().shape for product in self.products})
        if len(sizes) != 1:
            msg = (
                f"`products` act on matrices of the sizes {sizes}: a KroneckerSum needs at least"
                " one product, and all of one size."
            )
            raise ValueError(msg)

    def mv(self, vector: Float[Array, "o i"]) -> Float[Array, "o i"]:
        return sum((p.mv(vector) for p in self.products[1:]), self.products[0].mv(vector))

    def as_matrix(self) -> Float[Array, "oi oi"]:
        return sum((p.as_matrix() for p in self.products[1:]), self.products[0].as_matrix())

    def transpose(self) -> "KroneckerSum":
        return self

    def in_structure(self) -> jax.ShapeDtypeStruct:
        return self.products[0].in_structure()

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


class SumFactor(eqx.Module):
    """A sum of T products as it is: every damping needs a decomposition of its own.

    With "factored" damping each product gets the T-th part of it, by its two factors, and the sum
    of two is solved exactly by the generalized eigenvectors of both pairs of factors. With "exact"
    damping the identity is one product more. Three products and more have no common eigenvectors:
    conjugate gradients solve them, preconditioned by the exact solution for two, the first and one
    that stands for all others, to a relative residual of 1e-10 (1e-6 in float32) or for 500
    iterations.
    """

    products: tuple[Kronecker, ...]
    clipped: Int[Array, ""]

    def solve(self, matrix: Array, damping: Array, method: str) -> Array:
        """The damped solution; a damping of zero counts as one at rounding error."""
        products = _damped(self.products, damping, method)
        if len(products) == 1:
            products = (*products, _zero(products[0]))
        if len(products) == 2:
            return _solved(*products, matrix)
        substitute = merged(products[1:])

        def precondition(x: Array) -> Array:
            return _solved(products[0], substitute, x)

        structure = jax.eval_shape(lambda: matrix)
        options = {"preconditioner": lx.FunctionLinearOperator(precondition, structure, _PSD)}
        rtol = max(RTOL, ROUNDINGS * float(jnp.finfo(matrix.dtype).eps))
        solver = lx.CG(rtol, 0.0, max_steps=ITERATIONS)
        return linear_solve(KroneckerSum(products), matrix, solver, options).value


def merged(products: Sequence[Kronecker]) -> Kronecker:
    """One product for several: (sum_t G_t) (x) sum_t w_t A_t, w_t the share of the trace of G_t.

    That is K-FAC's product for the rows of all terms together, and the same for one term.
    """
    traces = jnp.stack([jnp.trace(product.left) for product in products])
    total = jnp.sum(traces)
    shares = jnp.where(total > 0, traces, 1) / jnp.where(total > 0, total, len(products))
    left = jnp.sum(jnp.stack([product.left for product in products]), axis=0)
    right = jnp.einsum("t,tij->ij", shares, jnp.stack([p.right for p in products]))
    return Kronecker(left, right)


def _damped(products: tuple[Kronecker, ...], damping: Array, method: str) -> tuple[Kronecker, ...]:
    if method == "exact":
        return (_identity(products[0], damping), *products)  # the first is whitened: no small one
    root = jnp.sqrt(damping / len(products))
    found = []
    for product in products:
        left, right = _mean_eigenvalue(product.left), _mean_eigenvalue(product.right)
        usable = (left > 0) & (right > 0)
        pi = jnp.sqrt(jnp.where(usable, right, 1) / jnp.where(usable, left, 1))
        found.append(
            Kronecker(_shifted(product.left, root / pi), _shifted(product.right, root * pi))
        )
    return tuple(found)


def _solved(first: Kronecker, second: Kronecker, matrix: Array) -> Array:
    """(G1 (x) A1 + G2 (x) A2)^-1 D = V ((V^T D U) / (1 + s t^T)) U^T.

    V^T G1 V = I and V^T G2 V = diag(s), and likewise U and t for A: generalized eigenvectors.
    """
    s, v = _generalized(first.left, second.left)
    t, u = _generalized(first.right, second.right)
    inside = _times(v.T, matrix, u) / (1 + s[:, None] * t[None, :])
    return _times(v, inside, u.T)


def _generalized(first: Array, second: Array) -> tuple[Array, Array]:
    """Eigenvalues s and V with V^T first V = I and V^T second V = diag(s)."""
    values, vectors = jnp.linalg.eigh(first)
    least = jnp.finfo(values.dtype).eps * jnp.max(values, initial=0)
    white = vectors / jnp.sqrt(jnp.maximum(values, jnp.where(least > 0, least, 1)))
    s, rotation = jnp.linalg.eigh(_times(white.T, second, white))
    return jnp.maximum(s, 0), jnp.matmul(white, rotation, precision=HIGHEST)


def _shifted(matrix: Array, shift: Array) -> Array:
    return matrix + shift * jnp.eye(len(matrix), dtype=matrix.dtype)


def _identity(like: Kronecker, damping: Array) -> Kronecker:
    o, i = like.in_structure().shape
    dtype = like.left.dtype
    return Kronecker(damping * jnp.eye(o, dtype=dtype), jnp.eye(i, dtype=dtype))


def _zero(like: Kronecker) -> Kronecker:
    return Kronecker(jnp.zeros_like(like.left), jnp.zeros_like(like.right))


def _mean_eigenvalue(matrix: Array) -> Array:
    return jnp.trace(matrix) / len(matrix)


def _times(a: Array, b: Array, c: Array) -> Array:
    return jnp.matmul(jnp.matmul(a, b, precision=HIGHEST), c, precision=HIGHEST)
