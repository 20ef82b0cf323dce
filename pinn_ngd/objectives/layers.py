"""Inputs and cotangents of the layers of any Equinox network, by surgery on its tree.

Every dense and convolution layer gets a probe added to its output: a zero whose reverse rule
returns the cotangent of the output and, through a second argument, the layer's input. One reverse
sweep then yields both, without side effects. A layer called twice, or inside a vmap, scan or jit
of its own, shows in the traced program (its probe is not there, exactly once and with the expected
shape, at the top) and falls back to stored rows, as every other kind of leaf does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..models.mlp import Linear

_CONVOLUTIONS = (eqx.nn.Conv1d, eqx.nn.Conv2d, eqx.nn.Conv3d)
_KINDS = (eqx.nn.Linear, Linear, *_CONVOLUTIONS)


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


class Probe(NamedTuple):
    """The two zeros of one layer: shaped like its output, and like its input."""

    delta: Any
    slot: Any


class _Probed(eqx.Module):
    layer: Any
    probe: Probe

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        del key
        return self.layer(x) + _probe(x, *self.probe)


class _Measured(eqx.Module):
    layer: Any
    note: Callable[[Any], None] = eqx.field(static=True)

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        del key
        y = self.layer(x)
        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (y, x)]
        self.note(Probe(*shapes))
        return y


def _is_layer(node: Any) -> bool:
    return type(node) in _KINDS


def layers_of(model: PyTree) -> list[Any]:
    """The nodes of a model with its layers whole: every other leaf is one node."""
    return jax.tree.leaves(model, is_leaf=_is_layer)


def probed(model: PyTree, probes: dict[int, Probe]) -> PyTree:
    """The model with a probe in the layers at these places of `layers_of`."""
    return _replaced(model, {place: lambda n, p=p: _Probed(n, p) for place, p in probes.items()})


def probe_shapes(model: PyTree, x: Any) -> dict[int, Probe]:
    """Which layers can be probed for an input like x, by their place, and the probes' shapes."""
    nodes = layers_of(model)
    shapes = {}
    for place in [place for place, node in enumerate(nodes) if _is_plain(node)]:
        shape = _measure(model, place, x)
        if shape is not None and _is_real(shape) and _seen_at_top(model, place, shape, x):
            shapes[place] = shape
    return shapes


def _is_real(shape: Probe) -> bool:
    """Complex outputs of real weights are stored rows: products of the parts are not those of z."""
    return not any(jnp.issubdtype(part.dtype, jnp.complexfloating) for part in shape)


def _is_plain(node: Any) -> bool:
    """A trainable layer whose products are those of `LayerRows`."""
    if not _is_layer(node) or not eqx.is_inexact_array(node.weight):
        return False
    if node.bias is not None and not eqx.is_inexact_array(node.bias):
        return False
    if isinstance(node, _CONVOLUTIONS):
        return node.groups == 1 and node.padding_mode == "ZEROS"
    return "scalar" not in (getattr(node, "in_features", 1), getattr(node, "out_features", 1))


def _replaced(model: PyTree, changes: dict[int, Callable]) -> PyTree:
    nodes, treedef = jax.tree.flatten(model, is_leaf=_is_layer)
    new = [changes[i](node) if i in changes else node for i, node in enumerate(nodes)]
    return jax.tree.unflatten(treedef, new)


def _measure(model: PyTree, place: int, x: Any) -> Probe | None:
    """The shapes of a layer's output and input; None where it is not called exactly once."""
    seen: list[Probe] = []
    measured = _replaced(model, {place: lambda node: _Measured(node, seen.append)})
    try:
        eqx.filter_eval_shape(lambda m, point: m(point), measured, x)
    except AttributeError:  # somebody reads its weights: it is more than a layer
        return None
    return seen[0] if len(seen) == 1 else None


def _seen_at_top(model: PyTree, place: int, shape: Probe, x: Any) -> bool:
    arrays, static = eqx.partition(model, eqx.is_array)

    def run(probe: Probe, arrays: PyTree, point: Any) -> Any:
        return probed(eqx.combine(arrays, static), {place: probe})(point)

    jaxpr = jax.make_jaxpr(run)(shape, arrays, x).jaxpr
    delta, slot = jaxpr.invars[:2]
    users = [eqn for eqn in jaxpr.eqns if delta in eqn.invars or slot in eqn.invars]
    if len(users) != 1 or not users[0].primitive.name.startswith("custom_vjp_call"):
        return False
    avals = [variable.aval for variable in users[0].invars]
    return [a.shape for a in avals] == [shape.slot.shape, shape.delta.shape, shape.slot.shape]


def patches(layer: Any, inputs: Array) -> Array:
    """Inputs (n, ...) of a layer as (n, positions, fan-in), in the order of its weights."""
    if not isinstance(layer, _CONVOLUTIONS):
        return inputs[:, None, :]
    unfolded = jax.lax.conv_general_dilated_patches(
        inputs,
        filter_shape=layer.kernel_size,
        window_strides=layer.stride,
        padding=layer.padding,
        rhs_dilation=layer.dilation,
        precision=jax.lax.Precision.HIGHEST,
    )
    return unfolded.reshape(*unfolded.shape[:2], -1).swapaxes(1, 2)
