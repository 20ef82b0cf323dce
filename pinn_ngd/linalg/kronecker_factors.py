"""Kronecker factors of a Gauss-Newton or Fisher matrix, from the inputs and cotangents of layers.

A row of a layer's block is D = sum_s d_s a_s^T (o, i), over the positions s at which the layer's
weight acts: one for a dense layer. The block F of A^T A is the sum of vec(D) vec(D)^T over rows.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._names import choose
from .block_diagonal import BlockDiagonal
from .blockwise import BlockwiseState, EigenFactor, Factor, StackedFactor
from .kronecker import Kronecker
from .kronecker_sum import KroneckerSum
from .layer_kinds import EmbeddingRows, StackedRows
from .layerwise import AbstractLayerRows, LayerRows, LayerwiseJacobian
from .operators import HIGHEST, StackedOperator
from .stacked import Stacked, UnitWise
from .weighted import WeightedJacobian

Sharing = Literal["expand", "reduce"]
_PSD = lx.positive_semidefinite_tag


def check_sharing(sharing: str) -> None:
    """Raises ValueError for a name that is none of `Sharing`."""
    choose(sharing, get_args(Sharing), "`sharing`")


def layerwise_of(operator: lx.AbstractLinearOperator) -> LayerwiseJacobian:
    """The rows of an operator by layers. Raises TypeError for one that has no layers."""
    inner = operator.operator if isinstance(operator, WeightedJacobian) else operator
    if isinstance(inner, LayerwiseJacobian):
        return inner.weighted(operator.factor) if isinstance(operator, WeightedJacobian) else inner
    msg = (
        f"`operator` is a {type(operator).__name__}, which knows no inputs and cotangents of"
        " layers: take the system of a ClassificationObjective, without matrix_free."
    )
    raise TypeError(msg)


def kronecker_blocks(operator: lx.AbstractLinearOperator, sharing: str = "expand") -> BlockDiagonal:
    """The block-diagonal Kronecker approximation F ~ A^T A of K-FAC, for the rows of an operator.

    With n examples and T positions, and a bias as one more input that is 1,

    - "expand": A = 1/n sum a_s a_s^T and G = 1/T sum d_s d_s^T, the KFC of convolutions (Grosse
      and Martens, ICML 2016); exact for deep linear networks whose loss sees every position;
    - "reduce": A = 1/n sum (mean_s a_s)(mean_s a_s)^T and G = sum (sum_s d_s)(sum_s d_s)^T; exact
      for those whose positions are averaged before the loss (Eschenhagen et al., NeurIPS 2023).

    Both are the K-FAC of Martens and Grosse (ICML 2015) for T = 1. The factor 1/T is put in G;
    where it stands matters for factored damping alone, which does not see it either, since
    pi balances the factors. An embedding, whose inputs are one-hot, has the diagonal factor of the
    counts of its rows, always as "expand" has it; layers side by side have a product each. Scale
    and shift of norms get the exact block of every unit, other leaves outside of captured layers
    the diagonal of theirs. Of a `StackedOperator` every part adds a product of its own: its layers
    have a `KroneckerSum`. Raises TypeError for an operator without layers.
    """
    check_sharing(sharing)
    if isinstance(operator, StackedOperator):
        return _summed([kronecker_blocks(part, sharing) for part in operator.operators])
    rows = layerwise_of(operator)
    found = block_makers(rows, sharing)
    return BlockDiagonal([make() for _, make in found], [x for x, _ in found], rows.in_structure())


Maker = Callable[[], lx.AbstractLinearOperator]


def block_makers(rows: LayerwiseJacobian, sharing: str) -> list[tuple[tuple[int, ...], Maker]]:
    """For every block of `kronecker_blocks` its leaves, and a function that makes it."""
    stored = dict(zip(rows.rest, rows.rows, strict=True))
    found: list[tuple[tuple[int, ...], Maker]] = [
        (layer.leaves, functools.partial(layer_block, layer, sharing)) for layer in rows.layers
    ]
    found += [(u, functools.partial(unit_block, [stored[i] for i in u])) for u in rows.units]
    return found + [((i,), functools.partial(_diagonal, stored[i])) for i in single(rows)]


def single(rows: LayerwiseJacobian) -> tuple[int, ...]:
    """The places of stored rows that belong to no units."""
    together = {place for places in rows.units for place in places}
    return tuple(place for place in rows.rest if place not in together)


def _summed(parts: list[BlockDiagonal]) -> BlockDiagonal:
    """The sum of blocks that belong to the same leaves."""
    blocks: list[lx.AbstractLinearOperator] = []
    for same in zip(*(part.blocks for part in parts), strict=True):
        if len(same) == 1:
            blocks.append(same[0])
        else:
            blocks.append(_sum_of(same))
    return BlockDiagonal(blocks, parts[0].layout.leaves, parts[0].in_structure())


def _sum_of(blocks: Sequence[Any]) -> lx.AbstractLinearOperator:
    kinds = {type(block) for block in blocks}
    if kinds == {Kronecker} and all(block.left.ndim == block.right.ndim == 2 for block in blocks):
        return KroneckerSum(blocks)
    if kinds == {UnitWise}:
        return UnitWise(sum(block.values for block in blocks[1:]) + blocks[0].values)
    if kinds & {Kronecker, Stacked}:
        msg = (
            "the blocks of an embedding, or of layers side by side, have no sum over several"
            " systems here: take one system, or dense layers."
        )
        raise TypeError(msg)
    return _of_squares(jnp.sum(jnp.stack([lx.diagonal(block) for block in blocks]), axis=0))


def corrected(
    operator: lx.AbstractLinearOperator, state: BlockwiseState, keep: Float[Array, ""]
) -> BlockwiseState:
    """Factors with eigenvalues keep S + (1 - keep) S*, S* the second moments of rows in the basis.

    S*_ij = sum over rows of (U^T D V)_ij^2 is the diagonal of the block in the orthonormal basis,
    hence the best of all diagonals in the Frobenius norm (George et al., NeurIPS 2018).
    """
    rows = layerwise_of(operator)
    layers = list(rows.layers)

    def change(factor: Factor) -> Factor:
        if not isinstance(factor, EigenFactor | StackedFactor):
            return factor
        measured = _squares(layers.pop(0), factor)
        if isinstance(factor, StackedFactor):
            values = keep * factor.factor.values + (1 - keep) * measured
            return eqx.tree_at(lambda f: f.factor.values, factor, values)
        values = keep * factor.values + (1 - keep) * measured
        return eqx.tree_at(lambda f: f.values, factor, values)

    return BlockwiseState(tuple(map(change, state.factors)), state.layout)


def with_ones(layer: LayerRows) -> LayerRows:
    """The layer without a bias: its inputs get a last one that is 1, its weight is leaf 0."""
    return LayerRows(_inputs(layer), layer.cotangents, 0, None)


def _inputs(layer: LayerRows) -> Float[Array, "n s i"]:
    """The inputs, with a last one, that of the bias, where there is a bias."""
    if layer.bias is None:
        return layer.inputs
    unit = layer.unit
    if unit is None:
        unit = jnp.ones(layer.inputs.shape[:-1], layer.inputs.dtype)
    return jnp.concatenate([layer.inputs, unit[..., None]], axis=-1)


def layer_block(layer: AbstractLayerRows, sharing: str) -> Kronecker | Stacked:
    """The Kronecker product of a layer, or those of layers side by side.

    Raises TypeError for rows of another kind.
    """
    if isinstance(layer, StackedRows):
        return Stacked(jax.vmap(lambda rows: _kronecker(rows, sharing))(layer.rows))
    if isinstance(layer, EmbeddingRows):
        n, positions = layer.indices.shape
        return Kronecker(layer.counts() / n, _moments(layer.cotangents) / positions)
    if isinstance(layer, LayerRows):
        return _kronecker(layer, sharing)
    raise TypeError(f"rows of a {type(layer).__name__} have no Kronecker factors.")


def unit_block(rows: list[Float[Array, "m c"]]) -> UnitWise:
    """The exact block of every unit: entry j of scale and shift, over m rows."""
    both = jnp.stack(rows, axis=-1)
    return UnitWise(jnp.einsum("mcu,mcv->cuv", both, both, precision=HIGHEST))


def _kronecker(layer: LayerRows, sharing: str) -> Kronecker:
    inputs, cotangents = _inputs(layer), layer.cotangents
    n, positions, _ = inputs.shape
    if sharing == "reduce":
        inputs = jnp.sum(inputs, axis=1, keepdims=True) / max(positions, 1)
        cotangents = jnp.sum(cotangents, axis=2, keepdims=True)
        positions = 1
    return Kronecker(_moments(cotangents) / max(positions, 1), _moments(inputs) / n)


def _moments(vectors: Float[Array, "*rows k"]) -> Float[Array, "k k"]:
    flat = vectors.reshape(-1, vectors.shape[-1])
    return jnp.matmul(flat.T, flat, precision=HIGHEST)


def _diagonal(rows: Float[Array, "m p"]) -> lx.AbstractLinearOperator:
    return _of_squares(jnp.sum(rows**2, axis=0))


def _of_squares(values: Array) -> lx.AbstractLinearOperator:
    return lx.TaggedLinearOperator(lx.DiagonalLinearOperator(values), _PSD)


def _squares(layer: AbstractLayerRows, factor: EigenFactor | StackedFactor) -> Array:
    """S* of a layer, (o, i), or of layers side by side, (h, o, i)."""
    if isinstance(layer, StackedRows) and isinstance(factor, StackedFactor):
        return jax.vmap(_dense_squares)(layer.rows, factor.factor)
    assert isinstance(factor, EigenFactor)
    if isinstance(layer, EmbeddingRows):
        return _table_squares(layer, factor)
    assert isinstance(layer, LayerRows)
    return _dense_squares(layer, factor)


def _table_squares(layer: EmbeddingRows, factor: EigenFactor) -> Float[Array, "v o"]:
    turned = jnp.matmul(layer.cotangents, factor.right, precision=HIGHEST)

    def add(total: Array, example: tuple[Array, Array]) -> tuple[Array, None]:
        indices, d = example
        rows = jax.vmap(layer.sums, (0, None))(d, indices)
        return total + jnp.sum(rows**2, axis=0), None

    start = jnp.zeros((layer.table, turned.shape[-1]), turned.dtype)
    return jax.lax.scan(add, start, (layer.indices, turned))[0]


def _dense_squares(layer: LayerRows, factor: EigenFactor) -> Float[Array, "o i"]:
    assert factor.left is not None  # of a dense layer no factor is diagonal
    inputs = jnp.matmul(_inputs(layer), factor.right, precision=HIGHEST)
    cotangents = jnp.matmul(layer.cotangents, factor.left, precision=HIGHEST)
    if inputs.shape[1] == 1:
        outputs = jnp.sum(cotangents[:, :, 0] ** 2, axis=1)
        return jnp.matmul(outputs.T, inputs[:, 0] ** 2, precision=HIGHEST)

    def add(total: Array, example: tuple[Array, Array]) -> tuple[Array, None]:
        a, d = example  # one example at a time: its rows take k o i numbers
        rows = jnp.einsum("kso,si->koi", d, a, precision=HIGHEST)
        return total + jnp.sum(rows**2, axis=0), None

    start = jnp.zeros((cotangents.shape[-1], inputs.shape[-1]), inputs.dtype)
    return jax.lax.scan(add, start, (inputs, cotangents))[0]
