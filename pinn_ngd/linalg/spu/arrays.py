"""The arrays of resistors whose product is the drift of a device."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from .._ravel import FrozenStructure, freeze, ravel, thaw, unravel
from ..damped import Gram
from ..operators import HIGHEST, matvec, register_operator
from ..weighted import WeightedJacobian


@register_operator
class ResistorArrays(lx.AbstractLinearOperator):
    """B^T H F + damping I: arrays F and B (m, n), and H of blocks (k, o, o), or none for I.

    Symmetric where F is B and H is symmetric, which `symmetric` states; semidefinite then with a
    semidefinite H, or with a damping that makes up for it.
    """

    forth: Inexact[Array, "m n"]
    back: Inexact[Array, "m n"]
    curvature: Inexact[Array, "k o o"] | None
    damping: Inexact[Array, ""]
    frozen: FrozenStructure = eqx.field(static=True)
    symmetric: bool = eqx.field(static=True)

    @property
    def tags(self) -> frozenset[object]:
        return frozenset({lx.positive_semidefinite_tag} if self.symmetric else ())

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.forth.dtype)
        through = self.weigh(matvec(self.forth, flat)[:, None])[:, 0]
        damped = self.damping.astype(flat.dtype) * flat
        return unravel(matvec(self.back.T, through) + damped, self.in_structure())

    def weigh(self, columns: Inexact[Array, "m c"]) -> Inexact[Array, "m c"]:
        """H applied to columns."""
        if self.curvature is None:
            return columns
        k, o, _ = self.curvature.shape
        parts = columns.reshape(k, o, -1)
        return jnp.matmul(self.curvature, parts, precision=HIGHEST).reshape(columns.shape)

    def asymmetry(self) -> Inexact[Array, ""]:
        """How far the two arrays differ, beside their largest element; zero for one array."""
        if self.back is self.forth:
            return jnp.zeros((), self.forth.dtype)
        largest = jnp.max(jnp.abs(self.forth), initial=0)
        apart = jnp.max(jnp.abs(self.forth - self.back), initial=0)
        return apart / jnp.where(largest > 0, largest, 1)

    def as_matrix(self) -> Inexact[Array, "n n"]:
        product = jnp.matmul(self.back.T, self.weigh(self.forth), precision=HIGHEST)
        return product + self.damping.astype(product.dtype) * jnp.eye(
            len(product), dtype=product.dtype
        )

    def transpose(self) -> "ResistorArrays":
        curvature = None if self.curvature is None else self.curvature.mT
        return ResistorArrays(
            self.back, self.forth, curvature, self.damping, self.frozen, self.symmetric
        )

    def in_structure(self) -> PyTree:
        return thaw(self.frozen)

    def out_structure(self) -> PyTree:
        return thaw(self.frozen)


def arrays_of(gram: Gram, *, factored: bool) -> ResistorArrays:
    """A^T A + damping I as the arrays A and A^T, or, of A = C^T J, as J, H = C C^T and J^T."""
    rows, curvature = gram.operator, None
    if isinstance(rows, WeightedJacobian) and not factored:
        rows, curvature = rows.operator, rows.curvature()
    matrix, frozen = rows.as_matrix(), freeze(gram.in_structure())
    return ResistorArrays(matrix, matrix, curvature, gram.damping, frozen, True)


def arrays_of_composition(operator: lx.AbstractLinearOperator) -> ResistorArrays | None:
    """B^T F as its two factors; None for an operator that is no composition."""
    if isinstance(operator, lx.TaggedLinearOperator):
        return arrays_of_composition(operator.operator)
    if not isinstance(operator, lx.ComposedLinearOperator):
        return None
    forth, back = operator.operator2.as_matrix(), operator.operator1.transpose().as_matrix()
    frozen = freeze(operator.in_structure())
    return ResistorArrays(forth, back, None, jnp.zeros((), forth.dtype), frozen, True)
