"""Operators that act on groups of leaves of a PyTree, each group by itself."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PyTree

from ._ravel import HashableStructure, dtype_of, hashable, size, structure_of, unravel
from .operators import register_operator


class Layout(eqx.Module):
    """Which leaves of a PyTree make up the array that each block acts on.

    The leaves of a group are reshaped to (o, -1) and joined along the last axis, so that the weight
    (o, i) and the bias (o,) of a layer become one matrix (o, i + 1); where the block acts on
    vectors, they are joined flat.
    """

    leaves: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    frozen: HashableStructure = eqx.field(static=True)

    def join(self, tree: PyTree[Array]) -> list[Array]:
        """The array of every group."""
        leaves = jax.tree.leaves(tree)
        return [
            jnp.concatenate([leaves[i].reshape(*shape[:-1], -1) for i in group], axis=-1)
            for group, shape in zip(self.leaves, self.shapes, strict=True)
        ]

    def split(self, parts: Sequence[Array]) -> PyTree[Array]:
        """Inverse of `join`."""
        structures, treedef = self.frozen
        leaves: list[Array | None] = [None] * len(structures)
        for group, shape, part in zip(self.leaves, self.shapes, parts, strict=True):
            widths = [math.prod(structures[i].shape) // math.prod(shape[:-1]) for i in group]
            for i, piece in zip(
                group, jnp.split(part, np.cumsum(widths)[:-1], axis=-1), strict=True
            ):
                leaves[i] = piece.reshape(structures[i].shape).astype(structures[i].dtype)
        return jax.tree.unflatten(treedef, leaves)


@register_operator
class BlockDiagonal(lx.AbstractLinearOperator):
    """A square operator on PyTrees that is block diagonal over groups of leaves.

    `blocks` are square operators on matrices (o, i) or vectors; `leaves` gives each the places of
    its leaves among those of `in_structure`, which are joined to one array (see `Layout`). It is
    symmetric or positive semidefinite where all blocks are. Raises ValueError unless every leaf
    belongs to exactly one block, of its size.
    """

    blocks: tuple[lx.AbstractLinearOperator, ...]
    layout: Layout

    def __init__(
        self,
        blocks: Sequence[lx.AbstractLinearOperator],
        leaves: Sequence[Sequence[int]],
        in_structure: PyTree,
    ):
        self.blocks = tuple(blocks)
        shapes = tuple(tuple(block.in_structure().shape) for block in self.blocks)
        groups = tuple(tuple(group) for group in leaves)
        self.layout = Layout(groups, shapes, hashable(in_structure))
        structures = self.layout.frozen[0]
        if sorted(i for group in groups for i in group) != list(range(len(structures))):
            msg = (
                f"`leaves` are {groups}, but `in_structure` has {len(structures)} leaves: every"
                " leaf needs exactly one block."
            )
            raise ValueError(msg)
        for group, shape in zip(groups, shapes, strict=True):
            found = sum(math.prod(structures[i].shape) for i in group)
            if found != math.prod(shape):
                msg = (
                    f"the leaves {group} have {found} numbers, but their block acts on {shape}:"
                    " give a block of their size."
                )
                raise ValueError(msg)

    @property
    def tags(self) -> frozenset[object]:
        """What holds for all blocks."""
        known = {
            lx.is_positive_semidefinite: lx.positive_semidefinite_tag,
            lx.is_symmetric: lx.symmetric_tag,
            lx.is_diagonal: lx.diagonal_tag,
        }
        return frozenset(tag for holds, tag in known.items() if all(map(holds, self.blocks)))

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        parts = self.layout.join(vector)
        return self.layout.split([b.mv(x) for b, x in zip(self.blocks, parts, strict=True)])

    def as_matrix(self) -> Float[Array, "p p"]:
        structure = self.in_structure()
        count, dtype = size(structure), dtype_of(structure)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, np.int32), structure)
        places = self.layout.join(unravel(jnp.arange(count, dtype=np.int32), shapes))
        matrix = jnp.zeros((count, count), dtype)
        for block, place in zip(self.blocks, places, strict=True):
            flat = place.reshape(-1)
            matrix = matrix.at[flat[:, None], flat[None, :]].set(block.as_matrix())
        return matrix

    def transpose(self) -> "BlockDiagonal":
        transposed = [block.transpose() for block in self.blocks]
        return BlockDiagonal(transposed, self.layout.leaves, self.in_structure())

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.layout.frozen)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.in_structure()
