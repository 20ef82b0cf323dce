"""Inputs and cotangents of the layers of any Equinox network.

Every layer's output gets a probe: a zero whose reverse rule returns the cotangent of the output
and, through a second argument, the layer's input. One reverse sweep then yields both, without side
effects. A layer that is called several times, or by `vmap` at many positions, has further positions
of the same weight; weights that are mapped over with their inputs are layers side by side. Where
the calls are not all that becomes of a layer's parameters, these are stored rows, as every other
kind of leaf is.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, PyTree

from .. import _tree
from ..linalg import EmbeddingRows, LayerRows, StackedRows
from ..models.mlp import Linear
from .marks import Call, Marked, calls_of, evaluate, output_p, traced

_CONVOLUTIONS = (eqx.nn.Conv1d, eqx.nn.Conv2d, eqx.nn.Conv3d)
_DENSE = (eqx.nn.Linear, Linear)
_NORMS = (eqx.nn.LayerNorm, eqx.nn.RMSNorm, eqx.nn.GroupNorm, eqx.nn.BatchNorm)
Rows = LayerRows | EmbeddingRows | StackedRows


class Probe(NamedTuple):
    """The two zeros of one call of a layer: shaped like its output, and like its input."""

    delta: Any
    slot: Any


class Capture(NamedTuple):
    """The program of one example, and the calls of those layers that can be captured, by place."""

    program: ClosedJaxpr
    calls: dict[int, tuple[Call, ...]]

    def probes(self) -> dict[int, list[Probe]]:
        """Zeros for every call."""
        return {p: [_zeros(call) for call in calls] for p, calls in self.calls.items()}

    def outputs(self, leaves: Sequence[Array], x: Any, probes: dict[int, list[Probe]]) -> Array:
        """The outputs for an example, with probes at the calls."""
        left = {place: list(zeros) for place, zeros in probes.items()}

        def handle(equation: Any, operands: list[Array]) -> Any:
            if equation.primitive is not output_p:
                return operands
            y, x = operands[:2]
            delta, slot = left[equation.params["place"]].pop(0)
            return y + _probe(x.astype(slot.dtype), delta, slot)

        return evaluate(self.program, [*leaves, *jax.tree.leaves(x)], handle)[0]


@jax.custom_vjp
def _probe(x: Array, delta: Array, slot: Array) -> Array:
    del x, slot
    return delta


def _probe_forward(x: Array, delta: Array, slot: Array) -> tuple[Array, Array]:
    del slot
    return delta, x


def _probe_backward(x: Array, cotangent: Array) -> tuple[Array, Array, Array]:
    return jnp.zeros_like(x), cotangent, x


_probe.defvjp(_probe_forward, _probe_backward)


def is_dense(node: Any) -> bool:
    """x (..., i) -> W x + b; a class of yours says so by a class attribute `is_dense = True`."""
    return type(node) in _DENSE or getattr(type(node), "is_dense", False) is True


def is_convolution(node: Any) -> bool:
    """A convolution of any number of axes."""
    return type(node) in _CONVOLUTIONS


def is_embedding(node: Any) -> bool:
    """A table of which a call takes one row."""
    return type(node) is eqx.nn.Embedding


def is_layer(node: Any) -> bool:
    """Whether inputs and cotangents of a node say all about its parameters."""
    return is_dense(node) or is_convolution(node) or is_embedding(node)


def is_norm(node: Any) -> bool:
    """A scale and a shift for each unit; your class says so by an attribute `is_norm = True`."""
    return type(node) in _NORMS or getattr(type(node), "is_norm", False) is True


def layers_of(model: PyTree) -> list[Any]:
    """The nodes of a model with its layers and norms whole: every other leaf is one node."""
    return jax.tree.leaves(model, is_leaf=is_node)


def is_plain(node: Any) -> bool:
    """A trainable layer whose products are those of rows of layers."""
    if not is_layer(node) or not eqx.is_inexact_array(node.weight):
        return False
    if _bias(node) is not None and not eqx.is_inexact_array(node.bias):
        return False
    return not is_convolution(node) or node.padding_mode == "ZEROS"


def places_of(model: PyTree) -> list[tuple[Any, tuple[int, ...]]]:
    """Every node of `layers_of` with the places of its leaves among those of the parameters."""
    found, first = [], 0
    for node in layers_of(model):
        count = len(jax.tree.leaves(_tree.trainable(node)[0]))
        found.append((node, tuple(range(first, first + count))))
        first += count
    return found


def units_of(model: PyTree) -> tuple[tuple[int, ...], ...]:
    """The places of scale and shift of every norm."""
    return tuple(places for node, places in places_of(model) if is_norm(node) and places)


def captured(model: PyTree, x: Any, outputs: Any) -> Capture:
    """The layers whose inputs and cotangents `outputs(model, x)` shows, for an input like x."""
    params, static = _tree.trainable(model)
    nodes = places_of(model)
    leaves, treedef = jax.tree.flatten(params)

    def program(places: set[int]) -> ClosedJaxpr:
        def run(leaves: list[Array], x: Any) -> Array:
            whole = eqx.combine(jax.tree.unflatten(treedef, leaves), static)
            return outputs(_marked(whole, places), x)

        return traced(run, jax.eval_shape(lambda: leaves), jax.eval_shape(lambda: x))

    wanted = {place for place, (node, _) in enumerate(nodes) if is_plain(node)}
    first = program(wanted)
    found = {place: calls_of(first, place, nodes[place][1]) for place in sorted(wanted)}
    calls = {p: c for p, c in found.items() if c and _fits(nodes[p][0], c)}
    return Capture(first if wanted == calls.keys() else program(set(calls)), calls)


def rows_of(
    node: Any, places: Sequence[int], calls: Sequence[Call], probes: Sequence[Probe]
) -> Rows:
    """The rows of a layer from cotangents (n, k, ...) and inputs (n, ...) of all its calls."""
    weight, bias = places[0], places[1] if len(places) > 1 else None
    parts = [_parts(node, *pair) for pair in zip(calls, probes, strict=True)]
    inputs = jnp.concatenate([a for a, _ in parts], axis=2)
    cotangents = jnp.concatenate([d for _, d in parts], axis=3)
    if is_embedding(node):
        table = node.weight.shape[0]
        indices = inputs[0, :, :, 0].astype(jnp.int32)
        return EmbeddingRows(jnp.where(indices < 0, indices + table, indices), cotangents[0],
                             weight, table)  # fmt: skip
    if calls[0].layers == 1 and inputs.shape[0] == 1 and not any(calls[0].stacked):
        return LayerRows(inputs[0], cotangents[0], weight, bias)
    stack = jax.vmap(lambda a, d: LayerRows(a, d, weight, bias))
    return StackedRows(stack(inputs, cotangents))


def positions(node: Any, calls: Sequence[Call]) -> int:
    """At how many positions of an example the weight acts, in all calls."""
    o = node.weight.shape[-1 if is_embedding(node) else stacking_of(node)]
    return sum(math.prod(call.output.shape) // (o * call.layers) for call in calls)


def _parts(node: Any, call: Call, probe: Probe) -> tuple[Array, Array]:
    """Inputs (h, n, s, i) and cotangents (h, n, k, s, o) of a call, h layers or groups."""
    d, a = probe
    layers = [axis for axis, stacked in enumerate(call.stacked) if stacked]
    front = tuple(range(len(layers)))
    a = jnp.moveaxis(a, [1 + axis for axis in layers], front)
    d = jnp.moveaxis(d, [2 + axis for axis in layers], front)
    (n, k), h = probe.delta.shape[:2], call.layers
    if is_embedding(node):
        return a.reshape(1, n, -1, 1), d.reshape(1, n, k, -1, node.weight.shape[-1])
    o, i = node.weight.shape[stacking_of(node) : stacking_of(node) + 2]
    if is_convolution(node):
        return _unfolded(node, a, (h, n)), _grouped(node, d, (h, n, k))
    return a.reshape(h, n, -1, i), d.reshape(h, n, k, -1, o)


def _unfolded(layer: Any, inputs: Array, leading: tuple[int, int]) -> Array:
    """Patches (h g, n, s, fan-in) of inputs of a convolution, in the order of its weights."""
    shape = inputs.shape[-1 - layer.num_spatial_dims :]
    found = patches(layer, inputs.reshape(-1, *shape))  # (all, s, g fan-in)
    found = found.reshape(*leading, -1, layer.groups, found.shape[-1] // layer.groups)
    return jnp.moveaxis(found, 3, 1).reshape(-1, leading[1], *found.shape[2::2])


def _grouped(layer: Any, cotangents: Array, leading: tuple[int, int, int]) -> Array:
    """Cotangents (h g, n, k, s, outputs of a group) of a convolution."""
    h, n, k = leading
    g, o = layer.groups, layer.out_channels // layer.groups
    pixels = math.prod(cotangents.shape[-layer.num_spatial_dims :])
    parts = cotangents.reshape(h, n, k, -1, g, o, pixels)
    return parts.transpose(0, 4, 1, 2, 3, 6, 5).reshape(h * g, n, k, -1, o)


def patches(layer: Any, inputs: Array) -> Array:
    """Inputs (n, channels, ...) of a convolution as (n, positions, fan-in of all groups)."""
    unfolded = jax.lax.conv_general_dilated_patches(
        inputs,
        filter_shape=layer.kernel_size,
        window_strides=layer.stride,
        padding=layer.padding,
        rhs_dilation=layer.dilation,
        precision=jax.lax.Precision.HIGHEST,
    )
    return unfolded.reshape(*unfolded.shape[:2], -1).swapaxes(1, 2)


def is_node(node: Any) -> bool:
    """A layer or a norm, which is taken whole."""
    return is_layer(node) or is_norm(node)


def _bias(node: Any) -> Any:
    return getattr(node, "bias", None)


def stacking_of(node: Any) -> int:
    """How many axes of the weight number layers side by side."""
    own = 2 + node.num_spatial_dims if is_convolution(node) else 2
    return node.weight.ndim - own


def _fits(node: Any, calls: Sequence[Call]) -> bool:
    """Whether the rows of these calls are known: real numbers, and all layers in every call.

    Complex outputs of real weights are stored rows: products of the parts are not those of z.
    """
    complex_ = [jnp.issubdtype(x.dtype, jnp.complexfloating) for c in calls for x in c[:2]]
    stacking = stacking_of(node)
    sides = all(sum(call.stacked) == stacking for call in calls)
    return sides and not any(complex_) and not (is_embedding(node) and stacking)


def _marked(model: PyTree, places: set[int]) -> PyTree:
    nodes, treedef = jax.tree.flatten(model, is_leaf=is_node)
    new = [Marked(node, i) if i in places else node for i, node in enumerate(nodes)]
    return jax.tree.unflatten(treedef, new)


def _zeros(call: Call) -> Probe:
    """Whole numbers, as an embedding takes, come back as floats, which hold those below 2^24."""
    real = jnp.issubdtype(call.inputs.dtype, jnp.floating)
    dtype = call.inputs.dtype if real else jnp.float32
    delta = jnp.zeros(call.output.shape, call.output.dtype)
    return Probe(delta, jnp.zeros(call.inputs.shape, dtype))
