"""Kronecker products as operators on weight matrices, in two forms: by factors, by eigenvectors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .operators import HIGHEST, register_operator

_PSD = frozenset({lx.positive_semidefinite_tag})


class _OnMatrices(lx.AbstractLinearOperator):
    """An operator between matrices D (o, i), of the type of its two factors."""

    left: eqx.AbstractVar[Float[Array, "o o"]]
    right: eqx.AbstractVar[Float[Array, "i i"]]

    def in_structure(self) -> jax.ShapeDtypeStruct:
        shape = self.left.shape[1], self.right.shape[1]
        return jax.ShapeDtypeStruct(shape, jnp.result_type(self.left, self.right))

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


@register_operator
class Kronecker(_OnMatrices):
    """D -> G D A^T for a matrix D (o, i), with `left` G (o, o) and `right` A (i, i).

    With the entries of D in rows, as `ravel` has them, its matrix is G (x) A. In K-FAC the factors
    are second moments of a layer's output cotangents (G) and of its inputs (A): symmetric and
    positive semidefinite, which the default `tags` say (Martens and Grosse, ICML 2015). Raises
    ValueError where a factor is not square.
    """

    left: Float[Array, "_ _"]
    right: Float[Array, "_ _"]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def __check_init__(self):
        for name, factor in (("left", self.left), ("right", self.right)):
            if factor.shape[0] != factor.shape[1]:
                msg = f"`{name}` has shape {factor.shape}: a Kronecker factor is a square matrix."
                raise ValueError(msg)

    def mv(self, vector: Float[Array, "o i"]) -> Float[Array, "o i"]:
        return _product(self.left, vector, self.right.T)

    def as_matrix(self) -> Float[Array, "oi oi"]:
        return jnp.kron(self.left, self.right)

    def transpose(self) -> "Kronecker":
        return Kronecker(self.left.T, self.right.T, lx.transpose_tags(self.tags))


@register_operator
class EigenKronecker(_OnMatrices):
    """D -> U (S * (U^T D V)) V^T with orthogonal `left` U (o, o) and `right` V (i, i), S entrywise.

    Its eigenvectors are Kronecker products, its eigenvalues `values` S (o, i) are free: those of
    a `Kronecker` product are S = s_G s_A^T, those of EKFAC the second moments of gradients in
    this basis (George et al., NeurIPS 2018).
    """

    left: Float[Array, "o o"]
    right: Float[Array, "i i"]
    values: Float[Array, "o i"]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def mv(self, vector: Float[Array, "o i"]) -> Float[Array, "o i"]:
        inside = self.values * _product(self.left.T, vector, self.right)
        return _product(self.left, inside, self.right.T)

    def as_matrix(self) -> Float[Array, "oi oi"]:
        basis = jnp.kron(self.left, self.right)
        return jnp.matmul(basis * self.values.reshape(-1), basis.T, precision=HIGHEST)

    def transpose(self) -> "EigenKronecker":
        return self


def _product(a: Array, b: Array, c: Array) -> Array:
    return jnp.matmul(jnp.matmul(a, b, precision=HIGHEST), c, precision=HIGHEST)
