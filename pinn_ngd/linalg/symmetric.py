"""Symmetric operators of which products are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from ._ravel import HashableStructure, dtype_of, ravel, size, structure_of, unravel


class AbstractSymmetric(lx.AbstractLinearOperator):
    """A real symmetric operator, positive semidefinite, of which products are known."""

    frozen_in: HashableStructure = eqx.field(static=True, kw_only=True)

    @property
    def tags(self) -> frozenset[object]:
        return frozenset({lx.positive_semidefinite_tag})

    def transpose(self) -> "AbstractSymmetric":
        return self

    def as_matrix(self) -> Float[Array, "n n"]:
        structure = self.in_structure()
        basis = jnp.eye(size(structure), dtype=dtype_of(structure))

        def column(e: Array) -> Array:
            return ravel(self.mv(unravel(e, structure)), e.dtype)

        return jax.vmap(column, out_axes=1)(basis)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_in)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.in_structure()
