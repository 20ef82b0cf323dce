"""Operators that act on every slice of an array by a block of its own: layers, units of norms."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax.scipy.linalg import block_diag
from jaxtyping import Array, Float

from .operators import HIGHEST, register_operator

_PSD = frozenset({lx.positive_semidefinite_tag})


@register_operator
class Stacked(lx.AbstractLinearOperator):
    """Operators of one kind side by side: the arrays of `blocks` have a leading axis h, and block j
    acts on slice j of an array (h, ...)."""

    blocks: Any

    @property
    def tags(self) -> frozenset[object]:
        """Those of the blocks."""
        return self.blocks.tags

    @property
    def count(self) -> int:
        """The number of blocks."""
        return jax.tree.leaves(self.blocks)[0].shape[0]

    def mv(self, vector: Float[Array, "h *x"]) -> Float[Array, "h *x"]:
        return jax.vmap(lambda block, x: block.mv(x))(self.blocks, vector)

    def as_matrix(self) -> Float[Array, "n n"]:
        return block_diag(*jax.vmap(lambda block: block.as_matrix())(self.blocks))

    def transpose(self) -> "Stacked":
        return Stacked(jax.vmap(lambda block: block.transpose())(self.blocks))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.blocks)
        inner = one.in_structure()
        return jax.ShapeDtypeStruct((self.count, *inner.shape), inner.dtype)

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


@register_operator
class UnitWise(lx.AbstractLinearOperator):
    """A symmetric matrix (u, u) for each of c units, acting on an array (c, u), u = 1 or 2.

    A unit of a norm has a scale and a shift; its block is that of the curvature, 2 x 2, without any
    approximation (the unit-wise blocks of Osawa et al., arXiv:2002.06015). Raises ValueError for
    blocks that are neither 1 x 1 nor 2 x 2.
    """

    values: Float[Array, "c u u"]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def __check_init__(self):
        if self.values.ndim != 3 or self.values.shape[1:] not in ((1, 1), (2, 2)):
            msg = (
                f"`values` have shape {self.values.shape}: give a matrix 1 x 1 or 2 x 2 for every"
                " unit, (c, 1, 1) or (c, 2, 2)."
            )
            raise ValueError(msg)

    def mv(self, vector: Float[Array, "c u"]) -> Float[Array, "c u"]:
        return jnp.einsum("cuv,cv->cu", self.values, vector, precision=HIGHEST)

    def as_matrix(self) -> Float[Array, "cu cu"]:
        return block_diag(*self.values)

    def transpose(self) -> "UnitWise":
        return UnitWise(self.values.swapaxes(1, 2), lx.transpose_tags(self.tags))

    def in_structure(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(self.values.shape[:2], self.values.dtype)

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


def symmetric_eigen(values: Float[Array, "c u u"]) -> tuple[Float[Array, "c u"], Array]:
    """Eigenvalues and vectors (c, u, u) of 1 x 1 or 2 x 2 symmetric matrices, in closed form.

    One Jacobi rotation by the smaller of its two angles, which is backward stable (Golub and Van
    Loan, Matrix Computations, section 8.5). Eigenvalues are in no order.
    """
    if values.shape[1:] == (1, 1):
        return values[:, 0], jnp.ones_like(values)
    a, b, d = values[:, 0, 0], values[:, 0, 1], values[:, 1, 1]
    flat = b == 0
    half = (d - a) / jnp.where(flat, 1, 2 * b)
    sign = jnp.where(half >= 0, jnp.ones_like(half), -jnp.ones_like(half))
    tangent = jnp.where(flat, 0, sign / (jnp.abs(half) + jnp.hypot(half, jnp.ones_like(half))))
    cosine = jax.lax.rsqrt(1 + tangent**2)
    sine = cosine * tangent
    rows = jnp.stack([cosine, sine], -1), jnp.stack([-sine, cosine], -1)
    return jnp.stack([a - tangent * b, d + tangent * b], -1), jnp.stack(rows, 1)
