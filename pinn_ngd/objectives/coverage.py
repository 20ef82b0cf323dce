"""Which parameters of a model are seen as layers, and which are not, and why."""

import dataclasses
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from .. import _tree
from . import layers

OTHER = "no dense or convolution layer"
NOT_PLAIN = "groups, another padding than zeros, or a scalar as input or output"
INSIDE = "called inside a vmap, scan or jit, not at all, or its weight is read directly"


class Covered(NamedTuple):
    """One parameter: its place in the model, its shape, its block of the curvature, and a note."""

    parameter: str
    shape: tuple[int, ...]
    block: str
    note: str


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Every parameter of a model with its block; `str` gives a table.

    A "kronecker" block belongs to a layer whose inputs and cotangents are captured, and is shared
    by its weight and bias; the note says at how many positions the weight acts. All others get
    "diagonal", and the note says why.
    """

    parameters: tuple[Covered, ...]

    @property
    def diagonal(self) -> tuple[str, ...]:
        """The parameters without a Kronecker block."""
        return tuple(p.parameter for p in self.parameters if p.block == "diagonal")

    def __str__(self) -> str:
        cells = [(p.parameter, str(p.shape), p.block, p.note) for p in self.parameters]
        widths = [max(len(row[i]) for row in cells) for i in range(3)] if cells else []
        lines = [
            "  ".join([*(c.ljust(w) for c, w in zip(row[:3], widths, strict=True)), row[3]])
            for row in cells
        ]
        return "\n".join(lines)


def coverage(model: PyTree, x: Any) -> Coverage:
    """What layer capture sees in a model, for an example like x."""
    params, _ = _tree.trainable(model)
    probes = layers.probe_shapes(model, jax.eval_shape(lambda: x))
    found: list[tuple[str, str]] = []
    for place, node in enumerate(layers.layers_of(model)):
        count = len(jax.tree.leaves(_tree.trainable(node)[0]))
        found += [_block(node, probes.get(place))] * count
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return Coverage(
        tuple(
            Covered(jax.tree_util.keystr(path), leaf.shape, *block)
            for (path, leaf), block in zip(leaves, found, strict=True)
        )
    )


def _block(node: Any, calls: layers.Probes | None) -> tuple[str, str]:
    if calls is None:
        if not layers.is_layer(node):
            return "diagonal", OTHER
        return "diagonal", INSIDE if layers.is_plain(node) else NOT_PLAIN
    # The output (o, ...) of a convolution has a position for each of its last axes' entries.
    positions = sum(call.delta.size // call.delta.shape[0] for call in calls)
    words = f"{positions} position{'s' * (positions > 1)}"
    return "kronecker", words if len(calls) == 1 else f"{words} in {len(calls)} calls"
