"""The unit of work of the training loop: a few steps with one batch, compiled once."""

import contextlib
import functools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree

from .. import _tree
from .result import Ending
from .verdict import refused


class Carry(eqx.Module):
    """The last model and state known to be finite, and the model before them.

    First-order optimizers report the loss before the step. Where that is not finite the model
    before the step is of no use either, and the run goes back to `previous`.
    """

    model: PyTree
    previous: PyTree
    state: PyTree


class Progress(eqx.Module):
    """How many steps were kept, whether one was not finite, whether the optimizer goes on."""

    count: Int[Array, ""]
    failed: Bool[Array, ""]
    live: Bool[Array, ""]


def as_arrays(tree: PyTree) -> PyTree:
    """A tree with JAX arrays for NumPy leaves and no weak types, as compiled steps return it."""
    kinds = (np.ndarray, np.generic, jax.Array)

    def convert(leaf: Any) -> Any:
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jnp.asarray(leaf, leaf.dtype) if isinstance(leaf, kinds) and not is_key else leaf

    return jax.tree.map(convert, tree)


def compiled_advance(stride: int, *args: Any) -> Callable:
    """`advance`, compiled for these arguments. Call it with the same ones, without `stride`.

    The objective and the batch are arguments and not constants, so fresh points reach the compiled
    code and XLA does not spend its time folding them.
    """
    compiled = _jitted().lower(stride, *args).compile()
    return functools.partial(compiled, stride)


@functools.cache
def _jitted() -> Any:
    """One function for all runs: what was compiled for one, the next one of its kind finds."""
    return eqx.filter_jit(advance)


class StepRefused(ValueError):
    """A compiled step was refused at run time; the message says why in one sentence."""


@contextlib.contextmanager
def refusals(step: int) -> Iterator[list[Ending]]:
    """A list that receives the end of a run if the step after `step` steps is refused.

    A refusal in the middle of a run ends the run and keeps its results. A refusal of the first step
    is raised.
    """
    endings: list[Ending] = []
    try:
        yield endings
    except StepRefused as error:
        if step == 0:
            raise
        endings.append(refused(step + 1, str(error)))


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turns errors that a compiled step raised on purpose into a ValueError of one line.

    They come from `equinox.error_if`, or from a ValueError in a host callback, of which JAX would
    also log the traceback.
    """
    log = logging.getLogger("jax._src.callback")
    before, log.disabled = log.disabled, True
    try:
        yield
    except (jax.errors.JaxRuntimeError, eqx.EquinoxRuntimeError) as error:
        found = re.search(r"(?:EquinoxRuntimeError|\nValueError): (.*)", str(error))
        if found is None:
            raise
        raise StepRefused(found[1]) from None
    finally:
        log.disabled = before


def advance(
    stride: int,
    optimizer: Any,
    objective: Any,
    carry: Carry,
    batch: PyTree,
    key: PRNGKeyArray,
    start: Any,
    limit: Any,
) -> tuple[Carry, Progress, PyTree]:
    """At most `limit` <= `stride` steps from number `start` on, all with one batch.

    A step that is not finite, and every step after it or after the optimizer's stop, is discarded.
    Returns the carry, the progress and the infos of all steps, stacked along a leading axis.
    """
    arrays, static = eqx.partition(carry, eqx.is_array)

    def body(loop: tuple[PyTree, Progress], offset: Array) -> tuple[Any, PyTree]:
        carry = eqx.combine(loop[0], static)
        new, finite, info = one_step(optimizer, objective, carry, batch, key, start + offset)
        keep, progress = _judge(loop[1], finite, info.stop, offset < limit)
        return (_select(keep, eqx.filter(new, eqx.is_array), loop[0]), progress), info

    loop = (arrays, Progress(jnp.int32(0), jnp.asarray(False), jnp.asarray(True)))
    if stride == 1:
        loop, info = body(loop, jnp.int32(0))
        infos = jax.tree.map(lambda x: jnp.asarray(x)[None], info)
    else:
        loop, infos = jax.lax.scan(body, loop, jnp.arange(stride, dtype=jnp.int32))
    return eqx.combine(loop[0], static), loop[1], infos


def advance_plainly(
    optimizer: Any,
    objective: Any,
    carry: Carry,
    batch: PyTree,
    key: PRNGKeyArray,
    start: Any,
    limit: Any,
) -> tuple[Carry, Progress, PyTree]:
    """One step that is not compiled, for optimizers that run in Python."""
    del limit
    new, finite, info = one_step(optimizer, objective, carry, batch, key, start)
    begun = Progress(jnp.int32(0), jnp.asarray(False), jnp.asarray(True))
    keep, progress = _judge(begun, finite, info.stop, jnp.asarray(True))
    infos = jax.tree.map(lambda x: jnp.asarray(x)[None], info)
    return (new if keep else carry), progress, infos


def one_step(
    optimizer: Any, objective: Any, carry: Carry, batch: PyTree, key: PRNGKeyArray, number: Any
) -> tuple[Carry, Array, PyTree]:
    """The carry after step `number`, whether it is finite, and what the optimizer tells of it."""
    step_key = jax.random.fold_in(key, number)
    model, state, info = optimizer.step(carry.model, carry.state, objective, batch, key=step_key)
    finite = jnp.isfinite(info.loss) & _tree.all_finite(model)
    return Carry(model, carry.model, state), finite, info


def _judge(before: Progress, finite: Array, stop: Array, within: Array) -> tuple[Array, Progress]:
    """Whether the step is kept, and the progress after it."""
    ran = before.live & within
    keep = ran & finite
    failed = before.failed | (ran & ~finite)
    live = before.live & ~failed & ~(keep & (stop != 0))
    return keep, Progress(before.count + keep.astype(jnp.int32), failed, live)


def _select(keep: Array, new: PyTree, old: PyTree) -> PyTree:
    """`new` where the step is kept, else `old`; TypeError where shapes or dtypes changed."""
    if jax.tree.structure(new) != jax.tree.structure(old):
        raise TypeError(
            "`optimizer.step` returned a model or state with another structure than it was given. "
            "Cure: let `init` return every array that `step` returns, and nothing else."
        )
    return jax.tree_util.tree_map_with_path(lambda *leaf: _select_leaf(keep, *leaf), new, old)


def _select_leaf(keep: Array, path: Any, new: Array, old: Array) -> Array:
    if (new.shape, new.dtype) != (old.shape, old.dtype):
        raise TypeError(
            f"`optimizer.step` changed {jax.tree_util.keystr(path)} from "
            f"{old.dtype}{list(old.shape)} to {new.dtype}{list(new.shape)}. "
            "Cure: give the arrays that `init` returns the shapes and dtypes that `step` returns."
        )
    return jnp.where(keep, new, old)
