"""Inputs and cotangents of the layers of any Equinox network, by surgery on its tree.

Every dense and convolution layer gets a probe added to its output: a zero whose reverse rule
returns the cotangent of the output and, through a second argument, the layer's input. One reverse
sweep then yields both, without side effects. A layer that is called several times gets a probe a
call, and its calls are further positions of the same weight. A layer called inside a vmap, scan or
jit of its own shows in the traced program (its probes are not there, each exactly once and with the
expected shape, at the top) and falls back to stored rows, as every other kind of leaf does.
"""

import functools
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
    """The two zeros of one call of a layer: shaped like its output, and like its input."""

    delta: Any
    slot: Any


Probes = tuple[Probe, ...]  # one a call


class _Probed(eqx.Module):
    layer: Any
    left: list[Probe]  # the probes of the calls to come

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        del key
        return self.layer(x) + _probe(x, *self.left.pop(0))


class _Measured(eqx.Module):
    layer: Any
    note: Callable[[Any], None] = eqx.field(static=True)

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        del key
        y = self.layer(x)
        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (y, x)]
        self.note(Probe(*shapes))
        return y


def is_layer(node: Any) -> bool:
    """Whether a node is a dense or convolution layer."""
    return type(node) in _KINDS


def layers_of(model: PyTree) -> list[Any]:
    """The nodes of a model with its layers whole: every other leaf is one node."""
    return jax.tree.leaves(model, is_leaf=is_layer)


def probed(model: PyTree, probes: dict[int, Probes]) -> PyTree:
    """The model with probes in the layers at these places of `layers_of`, to be called once."""
    return _replaced(
        model, {place: lambda n, p=p: _Probed(n, list(p)) for place, p in probes.items()}
    )


def probe_shapes(model: PyTree, x: Any) -> dict[int, Probes]:
    """Which layers can be probed for an input like x, by their place, and the probes' shapes."""
    nodes = layers_of(model)
    shapes = {}
    for place in [place for place, node in enumerate(nodes) if is_plain(node)]:
        calls = _measure(model, place, x)
        if calls and _is_real(calls) and _seen_at_top(model, place, calls, x):
            shapes[place] = calls
    return shapes


def _is_real(calls: Probes) -> bool:
    """Complex outputs of real weights are stored rows: products of the parts are not those of z."""
    parts = [part for probe in calls for part in probe]
    return not any(jnp.issubdtype(part.dtype, jnp.complexfloating) for part in parts)


def is_plain(node: Any) -> bool:
    """A trainable layer whose products are those of `LayerRows`."""
    if not is_layer(node) or not eqx.is_inexact_array(node.weight):
        return False
    if node.bias is not None and not eqx.is_inexact_array(node.bias):
        return False
    if isinstance(node, _CONVOLUTIONS):
        return node.groups == 1 and node.padding_mode == "ZEROS"
    return "scalar" not in (getattr(node, "in_features", 1), getattr(node, "out_features", 1))


def _replaced(model: PyTree, changes: dict[int, Callable]) -> PyTree:
    nodes, treedef = jax.tree.flatten(model, is_leaf=is_layer)
    new = [changes[i](node) if i in changes else node for i, node in enumerate(nodes)]
    return jax.tree.unflatten(treedef, new)


def _measure(model: PyTree, place: int, x: Any) -> Probes:
    """The shapes of a layer's output and input in each call; empty where it is more than called."""
    seen: list[Probe] = []
    measured = _replaced(model, {place: lambda node: _Measured(node, seen.append)})
    try:
        eqx.filter_eval_shape(lambda m, point: m(point), measured, x)
    except AttributeError:  # somebody reads its weights: it is more than a layer
        return ()
    return tuple(seen)


def _seen_at_top(model: PyTree, place: int, calls: Probes, x: Any) -> bool:
    arrays, static = eqx.partition(model, eqx.is_array)

    def run(probes: Probes, arrays: PyTree, point: Any) -> Any:
        return probed(eqx.combine(arrays, static), {place: probes})(point)

    try:
        jaxpr = jax.make_jaxpr(run)(calls, arrays, x).jaxpr
    except IndexError:  # called more often than it was measured, as in a loop that is traced anew
        return False
    deltas, slots = jaxpr.invars[: 2 * len(calls) : 2], jaxpr.invars[1 : 2 * len(calls) : 2]
    return all(map(functools.partial(_is_used_once, jaxpr), deltas, slots, calls))


def _is_used_once(jaxpr: Any, delta: Any, slot: Any, probe: Probe) -> bool:
    users = [eqn for eqn in jaxpr.eqns if delta in eqn.invars or slot in eqn.invars]
    if len(users) != 1 or not users[0].primitive.name.startswith("custom_vjp_call"):
        return False
    avals = [variable.aval for variable in users[0].invars]
    return [a.shape for a in avals] == [probe.slot.shape, probe.delta.shape, probe.slot.shape]


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
