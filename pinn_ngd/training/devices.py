"""A step on several devices: points are shared among them, parameters are on all.

Only compiled steps run there. Between them a run goes on as on one device: every process holds the
whole model, evaluates, estimates and decides with its own copy.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jaxtyping import PyTree

from ..linalg.tall import LYING, ROWS, WHOLE
from ..objectives import Batch, ClassificationObjective, ResidualObjective
from ..objectives.sharded import Sharded, put, shared
from ..states import AbstractState, StateObjective
from .advance import advance, compiled_advance
from .processes import Processes, answering, check_processes, digest_of


def mesh_of(mesh: Any) -> Mesh | None:
    """The devices of a mesh, or so many of all, as a mesh of one axis; None for one device.

    Raises ValueError for what is none, and for more devices than there are.
    """
    if mesh is None:
        return None
    devices = mesh.devices.ravel() if isinstance(mesh, Mesh) else np.asarray(_first(mesh))
    if devices.size == 1 and jax.process_count() == 1:
        return None
    made = Mesh(devices, (ROWS,), axis_types=(AxisType.Auto,))
    check_processes(made)
    return made


def _first(count: Any) -> list[Any]:
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or count < 1:
        raise ValueError(
            f"`mesh` is {count!r}; it must be a `jax.sharding.Mesh`, a number of devices or None."
        )
    there = jax.devices()
    if count > len(there):
        raise ValueError(
            f"`mesh` asks for {count} devices, and JAX sees {len(there)}: take fewer, or on a CPU "
            f'call `jax.config.update("jax_num_cpu_devices", {count})` before anything else.'
        )
    return there[:count]


def check_shared(objective: Any, model: PyTree, optimizer: Any, mesh: Mesh | None) -> None:
    """Raises ValueError, in one sentence, for what cannot be trained on several devices."""
    if mesh is None:
        return
    if isinstance(objective, ClassificationObjective):
        _check_examples(objective, optimizer, mesh)
        return
    if not optimizer.jittable:
        raise ValueError(
            f"{type(optimizer).__name__} runs in Python, on one device: take one that is compiled, "
            "such as 'engd-tr'."
        )
    if isinstance(objective, StateObjective) and objective.state.parts:
        _check_parts(objective.state, mesh)
        return
    if not isinstance(objective, ResidualObjective):
        raise ValueError(
            "several devices share the points of a ResidualObjective, examples or the parts of a"
            f" state, such as shots, and this {type(objective).__name__} has none of them: train it"
            " on one device."
        )
    for name, rule in zip(objective.term_names, objective.batch(jax.random.key(0)), strict=True):
        if rule.tests is not None:
            raise ValueError(
                f"the term '{name}' is tested with functions on all of its points, so that no "
                "device can take a part of them: train it on one device."
            )
    most = max(rule.size for rule in objective.rules)
    if mesh.size > most:
        raise ValueError(
            f"there are {mesh.size} devices and at most {most} points in a term: take fewer "
            "devices, or more points."
        )
    if hasattr(optimizer, "check"):
        optimizer.check(model, Sharded(objective, mesh))


def _check_parts(state: AbstractState, mesh: Mesh) -> None:
    if mesh.size > state.parts:
        raise ValueError(
            f"there are {mesh.size} devices and {state.parts} parts of a {type(state).__name__}:"
            " take fewer devices."
        )


def _check_examples(objective: ClassificationObjective, optimizer: Any, mesh: Mesh) -> None:
    if not optimizer.shares_examples:
        raise ValueError(
            f"{type(optimizer).__name__} takes all examples of a batch on one device: train on one,"
            " or take 'ngd-woodbury' or 'kfac', of which every device has a part of them."
        )
    optimizer.check_parts(objective.batch(jax.random.key(0)).size, mesh.size)


def compiled_on(processes: Processes, stride: int, *args: Any) -> Callable:
    """`compiled_advance`, whose steps are made by all devices of a mesh, if there is one."""
    if (mesh := processes.mesh) is None:
        return compiled_advance(stride, *args)
    place = Places(mesh)
    processes.check_same(the_points=digest_of(args[3]))
    compiled = lowered_on(mesh, stride, *place(*args)).compile()

    def call(*args: Any) -> Any:
        with answering():
            return jax.tree.map(_here, compiled(stride, mesh, *place(*args)))

    return call


def lowered_on(mesh: Mesh, stride: int, *placed: Any) -> Any:
    """The program of `compiled_on` before it is compiled, for arguments on the devices."""
    with jax.set_mesh(mesh):
        return _jitted.lower(stride, mesh, *placed)


@eqx.filter_jit
def _jitted(stride: int, mesh: Mesh, *args: Any) -> Any:
    everywhere = NamedSharding(mesh, WHOLE)
    arrays, static = eqx.partition(advance(stride, *args), eqx.is_array)
    return eqx.combine(jax.lax.with_sharding_constraint(arrays, everywhere), static)


class Places:
    """Puts the arguments of `advance` on the devices; points and data only where they are new."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        self.given: tuple[Any, Any] = (None, None)
        self.placed: tuple[Any, Any] = (None, None)

    def __call__(self, optimizer: Any, objective: Any, carry: Any, batch: Any, *more: Any) -> Any:
        whole, parts = self.placed
        if self.given[0] is not objective:
            of_points = isinstance(objective, ResidualObjective)
            whole = self._everywhere(Sharded(objective, self.mesh) if of_points else objective)
        if self.given[1] is not batch:
            parts = self._shared(batch)
        self.given, self.placed = (objective, batch), (whole, parts)
        optimizer, carry, *rest = self._everywhere((optimizer, carry, *more))
        return optimizer, whole, carry, parts, *rest

    def _shared(self, batch: Any) -> Any:
        """A part of the points, or of the examples, on every device."""
        if not isinstance(batch, Batch):
            return shared(batch, self.mesh)
        lying = NamedSharding(self.mesh, LYING)
        inputs, targets = jax.tree.map(lambda x: _put(x, lying), (batch.inputs, batch.targets))
        return Batch(inputs, targets, self._everywhere(batch.key))

    def _everywhere(self, tree: PyTree) -> PyTree:
        sharding = NamedSharding(self.mesh, WHOLE)
        return jax.tree.map(lambda leaf: _put(leaf, sharding), tree)


def _put(leaf: Any, sharding: NamedSharding) -> Any:
    if not eqx.is_array_like(leaf) or not isinstance(leaf, np.ndarray | jax.Array):
        return leaf
    if _is_key(leaf):
        data = put(np.asarray(jax.random.key_data(leaf)), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return put(np.asarray(leaf), sharding)


def _here(leaf: Any) -> Any:
    """This process's own copy of an array that all devices hold."""
    if not isinstance(leaf, jax.Array):
        return leaf
    if _is_key(leaf):
        data = _here(jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return jnp.asarray(np.asarray(leaf.addressable_data(0)))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
