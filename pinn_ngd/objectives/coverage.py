"""Which block of the curvature every parameter of a model gets, and why."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import PyTree

from .. import _tree
from . import layers

OTHER = "no layer or norm that is known"
NOT_PLAIN = "another padding than zeros, or a part of the layer is not trained"
INSIDE = (
    "called inside a scan, a checkpoint or a derivative, not at all, or its weight is used directly"
)


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
    by its weight and bias; the note says at how many positions the weight acts, and how many layers
    lie side by side. A "unit-wise" block is the exact one of scale and shift of each unit of a
    norm. All others get "diagonal", and the note says why.
    """

    parameters: tuple[Covered, ...]

    @property
    def diagonal(self) -> tuple[str, ...]:
        """The parameters that have nothing but the diagonal of their block."""
        return tuple(p.parameter for p in self.parameters if p.block == "diagonal")

    @property
    def has_layers(self) -> bool:
        """Whether any parameter has a Kronecker block."""
        return any(p.block == "kronecker" for p in self.parameters)

    def __str__(self) -> str:
        cells = [(p.parameter, str(p.shape), p.block, p.note) for p in self.parameters]
        widths = [max(len(row[i]) for row in cells) for i in range(3)] if cells else []
        lines = [
            "  ".join([*(c.ljust(w) for c, w in zip(row[:3], widths, strict=True)), row[3]])
            for row in cells
        ]
        return "\n".join(lines)


def coverage(model: PyTree, x: Any, outputs: Callable[[Any, Any], Any] | None = None) -> Coverage:
    """What layer capture sees in a model, for an example like x.

    `outputs(model, x)` is what the loss sees of an example, by default `model(x)`.
    """
    params, _ = _tree.trainable(model)
    calls = layers.captured(model, x, outputs or (lambda m, point: m(point))).calls
    found: list[tuple[str, str]] = []
    for place, (node, places) in enumerate(layers.places_of(model)):
        found += [_block(node, len(places), calls.get(place, ()))] * len(places)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return Coverage(
        tuple(
            Covered(jax.tree_util.keystr(path), leaf.shape, *block)
            for (path, leaf), block in zip(leaves, found, strict=True)
        )
    )


def check_norms(model: PyTree) -> None:
    """Raises ValueError for a BatchNorm that averages over the examples of a batch."""
    nodes = jax.tree.leaves(model, is_leaf=layers.is_norm)
    if any(type(node) is eqx.nn.BatchNorm and node.inference is False for node in nodes):
        msg = (
            "the model has a BatchNorm, which mixes the examples of a batch, so that no loss"
            " belongs to one example: take eqx.nn.GroupNorm or LayerNorm, or fix its averages by"
            " eqx.nn.inference_mode."
        )
        raise ValueError(msg)


def _block(node: Any, leaves: int, calls: Any) -> tuple[str, str]:
    if layers.is_norm(node):
        return "unit-wise", f"{leaves} x {leaves} for each of {node_size(node)} units"
    if not layers.is_layer(node):
        return "diagonal", OTHER
    if not calls:
        return "diagonal", INSIDE if layers.is_plain(node) else NOT_PLAIN
    count = layers.positions(node, calls)
    words = f"{count} position{'s' * (count > 1)}"
    words += f" in {len(calls)} calls" if len(calls) > 1 else ""
    stacked = calls[0].layers * getattr(node, "groups", 1)
    words += f", {stacked} layers side by side" if stacked > 1 else ""
    return "kronecker", words + (", counts of rows" if layers.is_embedding(node) else "")


def node_size(node: Any) -> int:
    """The number of units of a norm."""
    return jax.tree.leaves(_tree.trainable(node)[0])[0].size
