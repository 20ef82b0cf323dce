"""Rows of layers other than one dense or convolution layer: tables, and layers side by side."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Int

from .layerwise import AbstractLayerRows, LayerRows, einsum, kernel_of


class EmbeddingRows(AbstractLayerRows):
    """The rows of a table (v, o) of which every position takes one row: n examples, s positions.

    Row (i, j) of its block is sum_s e_{v_is} d_ijs^T, e_v being a unit vector: a dense layer
    without bias whose inputs are one-hot, transposed, which is never formed. `indices` (n, s) lie
    in 0..`table` - 1.
    """

    indices: Int[Array, "n s"]
    cotangents: Inexact[Array, "n k s o"]
    weight: int = eqx.field(static=True)
    table: int = eqx.field(static=True)

    @property
    def leaves(self) -> tuple[int, ...]:
        return (self.weight,)

    def mv(self, own: Sequence[Array]) -> Inexact[Array, "n k"]:
        rows = own[0].reshape(self.table, -1)[self.indices]
        return einsum("nkso,nso->nk", self.cotangents, rows)

    def transpose_mv(self, y: Inexact[Array, "n k"]) -> tuple[Array, ...]:
        mixed = einsum("nk,nkso->nso", y, self.cotangents)
        return (self.sums(mixed, self.indices).reshape(-1),)

    def columns(self) -> tuple[Array, ...]:
        n, k, _, o = self.cotangents.shape
        across = jax.vmap(jax.vmap(self.sums, (0, None)))
        return (across(self.cotangents, self.indices).reshape(n * k, self.table * o),)

    def weighted(self, factor: Inexact[Array, "n k r"]) -> "EmbeddingRows":
        mixed = einsum("nkr,nkso->nrso", factor, self.cotangents)
        return EmbeddingRows(self.indices, mixed, self.weight, self.table)

    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        equal = self.indices[:, :, None, None] == self.indices
        return kernel_of(self.cotangents, equal.astype(self.cotangents.dtype))

    def counts(self) -> Float[Array, " table"]:
        """How often each row of the table was taken."""
        ones = jnp.ones((*self.indices.shape, 1), self.cotangents.dtype)
        return self.sums(ones, self.indices)[:, 0]

    def sums(self, vectors: Inexact[Array, "*s o"], indices: Int[Array, "*s"]) -> Array:
        """The sum of the vectors of each row of the table, (table, o)."""
        zeros = jnp.zeros((self.table, vectors.shape[-1]), vectors.dtype)
        return zeros.at[indices.reshape(-1)].add(vectors.reshape(-1, vectors.shape[-1]))


class StackedRows(AbstractLayerRows):
    """The rows of h layers of one shape side by side, as under a `vmap` or of grouped convolutions.

    The arrays of `rows` have a leading axis h; the leaves hold the weights (and biases) of all
    layers, one after the other.
    """

    rows: LayerRows

    @property
    def leaves(self) -> tuple[int, ...]:
        return self.rows.leaves

    @property
    def cotangents(self) -> Inexact[Array, "h n k s o"]:
        """Those of all layers."""
        return self.rows.cotangents

    @property
    def count(self) -> int:
        """How many layers there are."""
        return self.rows.cotangents.shape[0]

    def mv(self, own: Sequence[Array]) -> Inexact[Array, "n k"]:
        parts = [leaf.reshape(self.count, -1) for leaf in own]
        return jnp.sum(jax.vmap(LayerRows.mv)(self.rows, parts), axis=0)

    def transpose_mv(self, y: Inexact[Array, "n k"]) -> tuple[Array, ...]:
        found = jax.vmap(LayerRows.transpose_mv, (0, None))(self.rows, y)
        return tuple(leaf.reshape(-1) for leaf in found)

    def columns(self) -> tuple[Array, ...]:
        found = jax.vmap(LayerRows.columns)(self.rows)
        return tuple(jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1) for x in found)

    def weighted(self, factor: Inexact[Array, "n k r"]) -> "StackedRows":
        return StackedRows(jax.vmap(LayerRows.weighted, (0, None))(self.rows, factor))

    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        return jnp.sum(jax.vmap(LayerRows.kernel_matrix)(self.rows), axis=0)
