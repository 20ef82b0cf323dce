"""Kronecker products as operators on weight matrices, in two forms: by factors, by eigenvectors."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .operators import HIGHEST, register_operator

_PSD = frozenset({lx.positive_semidefinite_tag})


class _OnMatrices(lx.AbstractLinearOperator):
    """An operator between matrices D (o, i), of the type of its two factors."""

    @abc.abstractmethod
    def in_structure(self) -> jax.ShapeDtypeStruct:
        """The shape (o, i) and the type of its factors."""

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


@register_operator
class Kronecker(_OnMatrices):
    """D -> G D A^T for a matrix D (o, i), with `left` G (o, o) and `right` A (i, i).

    With the entries of D in rows, as `ravel` has them, its matrix is G (x) A. In K-FAC the factors
    are second moments of a layer's output cotangents (G) and of its inputs (A): symmetric and
    positive semidefinite, which the default `tags` say (Martens and Grosse, ICML 2015). G may be
    diagonal, and then is its diagonal (o,), as for an embedding, whose matrix D has a row for every
    entry of the table. Raises ValueError where a factor is not square.
    """

    left: Float[Array, "_ _"] | Float[Array, " _"]
    right: Float[Array, "_ _"]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def __check_init__(self):
        for name, factor in (("left", self.left), ("right", self.right)):
            diagonal = name == "left" and factor.ndim == 1
            if not diagonal and factor.shape[0] != factor.shape[1]:
                msg = f"`{name}` has shape {factor.shape}: a Kronecker factor is a square matrix."
                raise ValueError(msg)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        shape = self.left.shape[-1], self.right.shape[-1]
        return jax.ShapeDtypeStruct(shape, jnp.result_type(self.left, self.right))

    def mv(self, vector: Float[Array, "o i"]) -> Float[Array, "o i"]:
        if self.left.ndim == 1:
            return self.left[:, None] * jnp.matmul(vector, self.right.T, precision=HIGHEST)
        return _product(self.left, vector, self.right.T)

    def as_matrix(self) -> Float[Array, "oi oi"]:
        left = jnp.diag(self.left) if self.left.ndim == 1 else self.left
        return jnp.kron(left, self.right)

    def transpose(self) -> "Kronecker":
        return Kronecker(self.left.T, self.right.T, lx.transpose_tags(self.tags))


@register_operator
class EigenKronecker(_OnMatrices):
    """D -> U (S * (U^T D V)) V^T with orthogonal `left` U (o, o) and `right` V (i, i), S entrywise.

    `left` None stands for the identity. Its eigenvectors are Kronecker products, its eigenvalues
    `values` S (o, i) are free: those of a `Kronecker` product are S = s_G s_A^T, those of EKFAC the
    second moments of gradients in this basis (George et al., NeurIPS 2018).
    """

    left: Float[Array, "o o"] | None
    right: Float[Array, "i i"]
    values: Float[Array, "o i"]
    tags: frozenset[object] = eqx.field(static=True, default=_PSD)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(self.values.shape, jnp.result_type(self.values, self.right))

    def mv(self, vector: Float[Array, "o i"]) -> Float[Array, "o i"]:
        if self.left is None:
            inside = self.values * jnp.matmul(vector, self.right, precision=HIGHEST)
            return jnp.matmul(inside, self.right.T, precision=HIGHEST)
        inside = self.values * _product(self.left.T, vector, self.right)
        return _product(self.left, inside, self.right.T)

    def as_matrix(self) -> Float[Array, "oi oi"]:
        o = self.values.shape[0]
        left = jnp.eye(o, dtype=self.values.dtype) if self.left is None else self.left
        basis = jnp.kron(left, self.right)
        return jnp.matmul(basis * self.values.reshape(-1), basis.T, precision=HIGHEST)

    def transpose(self) -> "EigenKronecker":
        return self


def _product(a: Array, b: Array, c: Array) -> Array:
    return jnp.matmul(jnp.matmul(a, b, precision=HIGHEST), c, precision=HIGHEST)
