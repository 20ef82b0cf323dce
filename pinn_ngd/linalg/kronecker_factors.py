"""Kronecker factors of a Gauss-Newton or Fisher matrix, from the inputs and cotangents of layers.

A row of a layer's block is D = sum_s d_s a_s^T (o, i), over the positions s at which the layer's
weight acts: one for a dense layer. The block F of A^T A is the sum of vec(D) vec(D)^T over rows.
"""

from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._names import choose
from .block_diagonal import BlockDiagonal
from .blockwise import BlockwiseState, EigenFactor, Factor
from .kronecker import Kronecker
from .kronecker_sum import KroneckerSum
from .layerwise import LayerRows, LayerwiseJacobian
from .operators import HIGHEST, StackedOperator
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
    pi balances the factors. Leaves outside of captured layers get the diagonal of their block.
    Of a `StackedOperator` every part adds a product of its own: its layers have a `KroneckerSum`.
    Raises TypeError for an operator without layers.
    """
    check_sharing(sharing)
    if isinstance(operator, StackedOperator):
        return _summed([kronecker_blocks(part, sharing) for part in operator.operators])
    rows = layerwise_of(operator)
    blocks: list[lx.AbstractLinearOperator] = [_kronecker(layer, sharing) for layer in rows.layers]
    blocks += [_diagonal(part) for part in rows.rows]
    leaves = [*(layer.leaves for layer in rows.layers), *((place,) for place in rows.rest)]
    return BlockDiagonal(blocks, leaves, rows.in_structure())


def _summed(parts: list[BlockDiagonal]) -> BlockDiagonal:
    """The sum of blocks that belong to the same leaves."""
    blocks: list[lx.AbstractLinearOperator] = []
    for same in zip(*(part.blocks for part in parts), strict=True):
        if len(same) == 1:
            blocks.append(same[0])
        elif all(isinstance(block, Kronecker) for block in same):
            blocks.append(KroneckerSum([block for block in same if isinstance(block, Kronecker)]))
        else:
            blocks.append(_of_squares(jnp.sum(jnp.stack([lx.diagonal(b) for b in same]), axis=0)))
    return BlockDiagonal(blocks, parts[0].layout.leaves, parts[0].in_structure())


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
        if not isinstance(factor, EigenFactor):
            return factor
        measured = _squares(layers.pop(0), factor)
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


def _kronecker(layer: LayerRows, sharing: str) -> Kronecker:
    inputs, cotangents = _inputs(layer), layer.cotangents
    n, positions, _ = inputs.shape
    if sharing == "reduce":
        inputs = jnp.mean(inputs, axis=1, keepdims=True)
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


def _squares(layer: LayerRows, factor: EigenFactor) -> Float[Array, "o i"]:
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
