"""Woodbury's identity layer by layer: the sketched empirical natural gradient (SENG)."""

import math
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray, PyTree, Real

from .._names import choose
from .._settings import Count, check_fields
from ._ravel import all_finite, is_complex
from .block_diagonal import Layout
from .column_sketch import SKETCHES, AbstractColumnSketch, AbstractSampled, Grid, draw_sketch
from .kept import AbstractKeptSolver, Answer
from .kronecker_factors import layerwise_of, with_ones
from .layerwise import AbstractLayerRows, LayerRows, LayerwiseJacobian
from .operators import HIGHEST, adjoint_matvec

Scaling = Literal["unbiased", "authors"]
Products = Literal["exact", "means"]


class WoodburyBlock(eqx.Module):
    """The rows U of one layer, and the eigenvectors of (the estimate of) U U^T.

    `sketched` is U S^T, or None where S is the identity; the rows have no bias, which is a last
    input that is 1.
    """

    rows: LayerRows
    sketch: AbstractColumnSketch | None
    sketched: LayerRows | Float[Array, "m s"] | None
    values: Float[Array, " m"]
    vectors: Float[Array, "m m"]
    means: bool = eqx.field(static=True)

    def solve(self, gradient: Float[Array, "o i"], damping: Array) -> Float[Array, "o i"]:
        """(g - U^T (U U^T + damping)^-1 U g) / damping."""
        turned = jnp.matmul(self.vectors.T, self._products(gradient), precision=HIGHEST)
        mixed = jnp.matmul(self.vectors, turned / (self.values + damping), precision=HIGHEST)
        return (gradient - self._combined(mixed).reshape(gradient.shape)) / damping

    def _products(self, gradient: Float[Array, "o i"]) -> Float[Array, " m"]:
        """U g."""
        if self.sketch is None or self.sketched is None:
            return self.rows.mv([gradient]).reshape(-1)
        short = self.sketch.apply(gradient)
        if isinstance(self.sketched, LayerRows):
            return self.sketched.mv([short]).reshape(-1)
        return jnp.matmul(self.sketched, short, precision=HIGHEST)

    def _combined(self, y: Float[Array, " m"]) -> Array:
        """U^T y; with `means` a product of two weighted sums stands for the sum of products."""
        n, k = self.rows.cotangents.shape[:2]
        y = y.reshape(n, k)
        if not self.means:
            return self.rows.transpose_mv(y)[0]
        root = jnp.sqrt(jnp.abs(y))
        total = jnp.sum(root)
        outputs = jnp.einsum("nk,nkpo->po", root, self.rows.cotangents, precision=HIGHEST)
        weights = y / jnp.where(total > 0, total, 1)
        inputs = jnp.einsum("nk,npi->pi", weights, self.rows.inputs, precision=HIGHEST)
        return jnp.matmul(outputs.T, inputs, precision=HIGHEST)


class PrimalBlock(eqx.Module):
    """The eigenvectors of U^T U, for a layer with fewer parameters than there are rows."""

    values: Float[Array, " p"]
    vectors: Float[Array, "p p"]

    def solve(self, gradient: Float[Array, "o i"], damping: Array) -> Float[Array, "o i"]:
        """(U^T U + damping)^-1 g."""
        turned = adjoint_matvec(self.vectors, gradient.reshape(-1))
        solved = jnp.matmul(self.vectors, turned / (self.values + damping), precision=HIGHEST)
        return solved.reshape(gradient.shape)


class WoodburyState(eqx.Module):
    """For every layer a block a shard, where the leaves lie, and how often it was drawn."""

    blocks: tuple[tuple[WoodburyBlock | PrimalBlock, ...], ...]
    layout: Layout
    count: Int[Array, ""]


class LayerwiseWoodbury(AbstractKeptSolver[Any]):
    """x_l = (U_l^T U_l + damping)^-1 g_l for every layer l, U_l the columns of A that belong to it.

    That is the block diagonal of A^T A, inverted exactly by Woodbury's identity

        x = (g - U^T (U U^T + damping)^-1 U g) / damping

    (or as it stands, where a layer has fewer parameters than there are rows). For the rows of an
    empirical Fisher matrix it is SENG (Yang, Xu, Wen, Chen and Xu, J. Sci. Comput. 2022,
    arXiv:2006.05924). Rows are kept as inputs and cotangents of layers wherever they were captured;
    any other leaf is a block of its own. `damping` must be positive.

    With `columns` = s, a layer with more parameters replaces U U^T by (U S^T)(U S^T)^T and U g by
    (U S^T)(S g), S the random map `sketch` ("uniform", "grid", "countsketch", "srht", "gaussian")
    to s numbers with E[S^T S] = I; the last product with U^T stays whole. The step then is
    argmin_a |S (U^T a - g)|^2 + damping |a|^2 with x = (g - U^T a) / damping. "uniform" and "grid"
    take entries out of captured layers; the other three form all rows at every renewal. A layer
    with no more parameters than there are rows needs no sketch and gets none. `scaling` "authors"
    multiplies the entries that "uniform" and "grid" take by the number of columns over that of the
    chosen ones, c, instead of its root, as the authors' program does: a then is that of the
    unbiased sketch with damping / c.

    A layer with more than `implicit_above` parameters takes the sketch "grid" where there are
    `columns`, which never forms its rows, keeps the `rank` largest singular values of the
    cotangents of an example over its positions, and with `products="means"` replaces
    sum_i y_i d_i a_i^T by (sum_i sqrt|y_i| d_i)(sum_i y_i a_i / sum_j sqrt|y_j|)^T, which is
    cheaper and wrong: cross terms come in. Where the layers are that large the authors do so.

    `shards` = P cuts the examples into P parts of the same size and returns the mean of the P
    solutions, each with its own part: what P processes do that exchange directions and no rows.
    It is the mean of inverses, not the inverse of the mean.

    Every renewal draws anew: of the `key` that it is given, or of a sequence that `seed` begins.
    A gradient in the span of the rows cancels: the relative rounding error is some
    eps lambda_max / damping, lambda_max the largest eigenvalue of U^T U, which in single precision
    asks for dampings above lambda_max / 1e5.

    Raises ValueError for settings that do not exist or fit, complex operators, a damping that is
    not positive, other numbers of examples than those kept, and such as `shards` does not divide;
    TypeError for an operator that knows no layers.
    """

    columns: Count | None = eqx.field(static=True, default=None)
    sketch: str = eqx.field(static=True, default="uniform")
    scaling: str = eqx.field(static=True, default="unbiased")
    implicit_above: Count | None = eqx.field(static=True, default=None)
    rank: Count = eqx.field(static=True, default=16)
    products: str = eqx.field(static=True, default="exact")
    shards: Count = eqx.field(static=True, default=1)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        check_fields(self)
        choose(self.sketch, SKETCHES, "`sketch`")
        choose(self.scaling, get_args(Scaling), "`scaling`")
        choose(self.products, get_args(Products), "`products`")

    def refreshed(
        self,
        state: WoodburyState | None,
        operator: lx.AbstractLinearOperator,
        *,
        keep: Real[ArrayLike, ""] = 0.0,
        renew: Bool[ArrayLike, ""] = True,
        key: PRNGKeyArray | None = None,
    ) -> WoodburyState:
        """The rows of `operator` where `renew` says so, else those of before: rows of different
        batches have no average, so that `keep` counts for nothing."""
        del keep
        rows = layerwise_of(operator)
        if is_complex(rows.in_structure()):
            raise ValueError("`operator` is complex, and LayerwiseWoodbury is for real rows.")
        if state is None:
            return self._made(rows, jnp.asarray(0, jnp.int32), key)
        made = eqx.filter_eval_shape(self._made, rows, state.count, key)
        if jax.tree.map(jnp.shape, state) != jax.tree.map(jnp.shape, made):
            raise ValueError(
                f"`operator` has rows of {rows.shape[0]} examples, and those kept are of another"
                " number: give batches of one size, or begin without a state."
            )
        return jax.lax.cond(renew, lambda: self._made(rows, state.count + 1, key), lambda: state)

    def compute_kept(
        self, state: WoodburyState, gradient: PyTree[Array], damping: Real[ArrayLike, ""]
    ) -> Answer:
        if not isinstance(damping, Tracer) and not np.all(np.asarray(damping) > 0):
            raise ValueError(
                f"`damping` is {damping}, by which Woodbury's identity divides: give one above 0."
            )
        parts = state.layout.join(gradient)
        solved = [
            _mean([block.solve(part, jnp.asarray(damping, part.dtype)) for block in shards])
            for shards, part in zip(state.blocks, parts, strict=True)
        ]
        value = state.layout.split(solved)
        good = all_finite((gradient, value))
        return value, lx.RESULTS.where(good, lx.RESULTS.successful, lx.RESULTS.nonfinite_input), {}

    def _made(
        self, rows: LayerwiseJacobian, count: Int[Array, ""], key: PRNGKeyArray | None
    ) -> WoodburyState:
        n = rows.shape[0]
        if n % self.shards:
            raise ValueError(
                f"`shards` = {self.shards} does not divide the {n} examples of a batch into equal "
                "parts: give a number that does."
            )
        layers = [_of_layer(layer) for layer in rows.layers]
        layers += [_as_layer(part) for part in rows.rows]
        leaves = [*(layer.leaves for layer in rows.layers), *((place,) for place in rows.rest)]
        shapes = [(x.cotangents.shape[-1], x.inputs.shape[-1]) for x in layers]
        key = jax.random.fold_in(jax.random.key(self.seed), count) if key is None else key
        keys = jax.random.split(key, len(layers))
        blocks = [self._blocks(layer, key) for layer, key in zip(layers, keys, strict=True)]
        return WoodburyState(
            tuple(blocks), Layout(tuple(leaves), tuple(shapes), rows.frozen_in), count
        )

    def _blocks(self, layer: LayerRows, key: Array) -> tuple[WoodburyBlock | PrimalBlock, ...]:
        """The blocks of a layer, one a shard, with the same sketch."""
        o, i = layer.cotangents.shape[-1], layer.inputs.shape[-1]
        implicit = self.implicit_above is not None and o * i > self.implicit_above
        if implicit:
            layer = truncated(layer, self.rank)
        sketch = None
        n, k = layer.cotangents.shape[:2]
        least = 0 if implicit else n * k // self.shards  # below, the block is solved as it stands
        if self.columns is not None and o * i > max(self.columns, least):
            name = "grid" if implicit else self.sketch
            sketch = draw_sketch(name, (o, i), self.columns, key, layer.inputs.dtype)
            if self.scaling == "authors" and isinstance(sketch, AbstractSampled):
                sketch = sketch.rescaled_as_by_authors()
        means = implicit and self.products == "means"
        parts = _in_shards(layer, self.shards)
        return tuple(self._block(part, sketch, means=means) for part in parts)

    def _block(
        self, rows: LayerRows, sketch: AbstractColumnSketch | None, *, means: bool
    ) -> WoodburyBlock | PrimalBlock:
        n, k = rows.cotangents.shape[:2]
        size = rows.cotangents.shape[-1] * rows.inputs.shape[-1]
        if sketch is None and not means and size <= n * k:
            columns = rows.columns()[0]
            return PrimalBlock(*_spectrum(jnp.matmul(columns.T, columns, precision=HIGHEST)))
        if sketch is None:
            sketched, gram = None, rows.kernel_matrix()
        elif isinstance(sketch, Grid):
            sketched = sketch.layer(rows)
            gram = sketched.kernel_matrix()
        else:
            sketched = sketch.apply_rows(rows)
            gram = jnp.matmul(sketched, sketched.T, precision=HIGHEST)
        return WoodburyBlock(rows, sketch, sketched, *_spectrum(gram), means)


def truncated(layer: LayerRows, rank: int) -> LayerRows:
    """The rows with every (positions, outputs) of cotangents replaced by its best of that rank.

    sum_s d_s a_s^T = D^T A with D = W S V^T is (S V^T)^T (W^T A): positions become singular values.
    The largest entry of each row of V^T is positive, so that sums over examples have a meaning.
    """
    n, k, positions, o = layer.cotangents.shape
    if positions <= rank:
        return layer
    inputs = jnp.repeat(layer.inputs, k, axis=0)
    left, values, right = jnp.linalg.svd(
        layer.cotangents.reshape(n * k, positions, o), full_matrices=False
    )
    kept = min(rank, values.shape[-1])
    largest = jnp.argmax(jnp.abs(right), axis=-1, keepdims=True)
    signs = jnp.sign(jnp.take_along_axis(right, largest, axis=-1))
    left, right = left * signs.swapaxes(-1, -2), right * signs
    turned = jnp.einsum("nsr,nsi->nri", left[..., :kept], inputs, precision=HIGHEST)
    cotangents = values[:, :kept, None] * right[:, :kept]
    return LayerRows(turned, cotangents[:, None], layer.weight, None)  # `with_ones` has the bias


def _in_shards(layer: LayerRows, shards: int) -> list[LayerRows]:
    """The examples in P parts, each with the mean over its own."""
    inputs = jnp.split(layer.inputs, shards)
    cotangents = jnp.split(math.sqrt(shards) * layer.cotangents, shards)
    pairs = zip(inputs, cotangents, strict=True)
    return [LayerRows(a, d, layer.weight, layer.bias) for a, d in pairs]


def _spectrum(gram: Float[Array, "m m"]) -> tuple[Array, Array]:
    """Eigenvalues, none of them negative by rounding, and eigenvectors."""
    values, vectors = jnp.linalg.eigh(gram)
    return jnp.maximum(values, 0), vectors


def _mean(parts: list[Array]) -> Array:
    return sum(parts[1:], start=parts[0]) / len(parts)


def _of_layer(layer: AbstractLayerRows) -> LayerRows:
    """Rows of layers side by side and of tables are stored ones, one block for all of them."""
    if isinstance(layer, LayerRows):
        return with_ones(layer)
    return _as_layer(jnp.concatenate(layer.columns(), axis=1))


def _as_layer(rows: Float[Array, "m p"]) -> LayerRows:
    """Stored rows as those of a layer with one output and one position an example."""
    return LayerRows(rows[:, None, :], jnp.ones((rows.shape[0], 1, 1, 1), rows.dtype), 0, None)
