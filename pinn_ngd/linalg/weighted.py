"""The square-root form of a Gauss-Newton matrix, with Jacobian and curvature kept apart."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from ._ravel import dtype_of
from .kernel_matrix import kernel_matrix
from .layerwise import LayerwiseJacobian
from .operators import HIGHEST, AbstractTransposable, register_operator


@register_operator
class WeightedJacobian(AbstractTransposable):
    """A = C^T J, so that A^H A = J^H H J with H = conj(C) C^T block diagonal.

    `operator` J maps parameters to the outputs (n, o) of n examples; `factor` (n, o, r) holds the
    blocks C_i. The result is an array (n, r). A solver sees one operator A, while a device
    can store J and H in two different arrays.
    """

    operator: lx.AbstractLinearOperator
    factor: Inexact[Array, "n o r"]

    def mv(self, vector: PyTree[Array]) -> Inexact[Array, "n r"]:
        return _einsum("nor,no->nr", self.factor, self.operator.mv(vector))

    def transpose_mv(self, vector: Inexact[Array, "n r"]) -> PyTree[Array]:
        """J^T C w."""
        return self.operator.transpose().mv(_einsum("nor,nr->no", self.factor, vector))

    def curvature(self) -> Inexact[Array, "n o o"]:
        """The blocks of H = conj(C) C^T."""
        return _einsum("nor,npr->nop", self.factor.conj(), self.factor)

    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        """A A^H = C^T (J J^H) conj(C); the cotangents of layers are multiplied by C first."""
        if isinstance(self.operator, LayerwiseJacobian):
            return self.operator.weighted(self.factor).kernel_matrix()
        n, o, r = self.factor.shape
        blocks = kernel_matrix(self.operator).reshape(n, o, n, o)
        half = _einsum("nor,nomp->nrmp", self.factor, blocks)
        return _einsum("nrmp,mps->nrms", half, self.factor.conj()).reshape(n * r, n * r)

    def as_matrix(self) -> Inexact[Array, "m p"]:
        if isinstance(self.operator, LayerwiseJacobian):
            return self.operator.weighted(self.factor).as_matrix()
        n, o, r = self.factor.shape
        rows = self.operator.as_matrix().reshape(n, o, -1)
        return _einsum("nor,nop->nrp", self.factor, rows).reshape(n * r, -1)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()

    def out_structure(self) -> jax.ShapeDtypeStruct:
        n, _, r = self.factor.shape
        return jax.ShapeDtypeStruct((n, r), dtype_of(self.in_structure()))


def _einsum(subscripts: str, *operands: Array) -> Array:
    return jnp.einsum(subscripts, *operands, precision=HIGHEST)
