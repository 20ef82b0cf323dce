"""The arrays of resistors whose product is the drift of a device."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from ..linalg._ravel import HashableStructure, hashable, ravel, structure_of, unravel
from ..linalg.operators import HIGHEST, adjoint_matvec, matvec, register_operator
from ..linalg.weighted import WeightedJacobian
from .factors import factors_of


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
    frozen: HashableStructure = eqx.field(static=True)
    symmetric: bool = eqx.field(static=True)

    @property
    def tags(self) -> frozenset[object]:
        return frozenset({lx.positive_semidefinite_tag} if self.symmetric else ())

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        flat = ravel(vector, self.forth.dtype)
        through = self.weigh(matvec(self.forth, flat)[:, None])[:, 0]
        damped = self.damping.astype(flat.dtype) * flat
        return unravel(adjoint_matvec(self.back, through) + damped, self.in_structure())

    def weigh(self, columns: Inexact[Array, "m c"]) -> Inexact[Array, "m c"]:
        """H applied to columns."""
        if self.curvature is None:
            return columns
        k, o, _ = self.curvature.shape
        parts = columns.reshape(k, o, -1)
        return jnp.matmul(self.curvature, parts, precision=HIGHEST).reshape(columns.shape)

    def asymmetry(self) -> Inexact[Array, ""]:
        """How far F is from B, or H from H^T, beside their largest element; zero for one array."""
        if self.back is self.forth:
            return jnp.zeros((), self.forth.dtype)
        apart = _apart(self.forth, self.back)
        h = self.curvature
        return apart if h is None else jnp.maximum(apart, _apart(h, h.mT))

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
        return structure_of(self.frozen)

    def out_structure(self) -> PyTree:
        return structure_of(self.frozen)


def _apart(x: Array, y: Array) -> Inexact[Array, ""]:
    largest = jnp.max(jnp.abs(x), initial=0)
    return jnp.max(jnp.abs(x - y), initial=0) / jnp.where(largest > 0, largest, 1)


def arrays_of(operator: lx.AbstractLinearOperator, *, factored: bool) -> ResistorArrays | None:
    """The arrays F, B and H of an operator; None for one without factors, which is one array.

    H is that of weighted Jacobians C^T J unless they are `factored`: then C^T is a part of F and B.
    """
    if isinstance(operator, ResistorArrays):
        return operator
    found = factors_of(operator)
    if found is None:
        return None
    (forth, back), curvature = (found.forth, found.back), None
    if not factored and isinstance(forth, WeightedJacobian) and isinstance(back, WeightedJacobian):
        curvature = _curvature(forth, back)
        forth, back = forth.operator, back.operator
    matrix, frozen = forth.as_matrix(), hashable(operator.in_structure())
    other = matrix if found.back is found.forth else back.as_matrix()
    return ResistorArrays(matrix, other, curvature, found.damping, frozen, True)


def _curvature(forth: WeightedJacobian, back: WeightedJacobian) -> Inexact[Array, "k o o"]:
    """The blocks of H with back^T forth = J^T H J."""
    if forth is back:
        return forth.curvature()
    return jnp.matmul(back.factor, forth.factor.mT, precision=HIGHEST)
