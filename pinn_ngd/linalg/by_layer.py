"""Least squares in which every layer solves the whole system, and the mean of them is taken."""

from itertools import groupby
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from ._ravel import hashable
from .factor_solver import AbstractFactorSolver, FactorState, least
from .spectral import SpectralFactor
from .spectral_solver import Spectral


class LayerFactors(eqx.Module):
    """Factors of the blocks of columns A = (A_1, ..., A_L), one a layer."""

    blocks: tuple[SpectralFactor, ...]

    @property
    def dtype(self) -> Any:
        """The type of the numbers of the rows."""
        return self.blocks[0].dtype

    @property
    def condition(self) -> Float[Array, ""]:
        """The largest condition number of a block."""
        return jnp.max(jnp.stack([jnp.asarray(block.condition) for block in self.blocks]))

    @property
    def from_gram(self) -> Array:
        """Whether any block was factored through its Gram matrix."""
        return jnp.any(jnp.stack([jnp.asarray(block.from_gram) for block in self.blocks]))


class ByLayer(AbstractFactorSolver):
    """L x_l = argmin 1/2 |A_l x - b|^2 + damping/2 |x|^2 for every layer l of L layers.

    A layer is what one node of the tree holds that the operator A acts on, such as the weight and
    bias of a linear map, with the columns A_l; see `layer_sizes`.
    Where every A_l has full row rank (wide networks), A_l A_l^+ = I, so that x solves A x = b
    without damping: the residual is that of the minimum-norm solution, at the cost of smaller
    factorizations, and no block of the metric between layers is needed (Karakida and Osawa,
    NeurIPS 2020). Elsewhere A x = (1/L) sum_l A_l A_l^+ b is shorter than b.

    `stats`: the smallest "rank" of a block, the largest "condition", and "from_gram". Solutions
    have no derivatives.
    """

    solver: Spectral = Spectral()

    def factored(self, matrix: Array, smallest_damping: Any) -> LayerFactors:
        return LayerFactors((self.solver.factored(matrix, smallest_damping),))

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> FactorState:
        sizes = layer_sizes(operator.in_structure())
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
        blocks = jnp.split(operator.as_matrix(), ends, axis=1)
        factor = LayerFactors(tuple(self.solver.factored(b, least(options)) for b in blocks))
        structures = hashable(operator.in_structure()), hashable(operator.out_structure())
        return FactorState(factor, eqxi.Static(structures))

    def for_target(self, state: FactorState, target: Array, damping: Any) -> Array:
        parts = [
            self.solver.for_target(FactorState(block, state.structures), target, damping)
            for block in state.factor.blocks
        ]
        return jnp.concatenate(parts) / len(parts)

    def for_gradient(self, state: FactorState, gradient: Array, damping: Any) -> Array:
        blocks = state.factor.blocks
        ends = [sum(b.matrix.shape[1] for b in blocks[: i + 1]) for i in range(len(blocks) - 1)]
        parts = [
            self.solver.for_gradient(FactorState(block, state.structures), part, damping)
            for block, part in zip(blocks, jnp.split(gradient, ends), strict=True)
        ]
        return jnp.concatenate(parts) / len(parts)

    def rank(self, factor: LayerFactors) -> Array:
        return jnp.min(jnp.stack([self.solver.rank(block) for block in factor.blocks]))

    def transpose(self, state: FactorState, options: dict[str, Any]) -> Any:
        del state, options
        raise _no_derivative()

    def conj(self, state: FactorState, options: dict[str, Any]) -> Any:
        del state, options
        raise _no_derivative()


def layer_sizes(structure: PyTree) -> list[int]:
    """The number of parameters of every layer.

    A layer is what one node of the tree holds; where that is several matrices, each of them with
    the vectors that follow it.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(structure)
    nodes = groupby(leaves, key=lambda leaf: leaf[0][:-1])
    return [size for _, node in nodes for size in _split([leaf for _, leaf in node])]


def _split(leaves: list[jax.ShapeDtypeStruct]) -> list[int]:
    sizes, has_matrix = [0], False
    for leaf in leaves:
        is_matrix = len(leaf.shape) > 1
        if is_matrix and has_matrix:
            sizes.append(0)
        sizes[-1] += leaf.size
        has_matrix |= is_matrix
    return sizes


def _no_derivative() -> NotImplementedError:
    return NotImplementedError(
        "A solution of `ByLayer` has no derivatives: it is no linear solve of the whole matrix."
        " Solve with `Spectral()` or `QR()`."
    )
