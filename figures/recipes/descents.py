"""Many runs of an optimizer's own steps in one compiled loop, measured on the way."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PRNGKeyArray, PyTree


def descent(
    optimizer: Any,
    objective: Any,
    model: PyTree,
    draw: Callable[[PRNGKeyArray, Array], PyTree],
    measure: Callable[[PyTree], Array],
    *,
    key: PRNGKeyArray,
    points: int,
    between: int,
) -> Array:
    """`measure` of the model at the start and `points` times after `between` more steps.

    It can be traced, so that `jax.vmap` makes many runs of it. `draw(key, k)` is the batch of step
    k. A step is that of the training loop, without its history, checkpoints and checks.
    """
    batch = jax.eval_shape(draw, key, jax.numpy.int32(0))
    batch = jax.tree.map(lambda x: jax.numpy.zeros(x.shape, x.dtype), batch)
    state = optimizer.init(model, objective, batch)
    arrays, static = eqx.partition((model, state), eqx.is_array)

    def step(arrays: PyTree, number: Array) -> tuple[PyTree, None]:
        model, state = eqx.combine(arrays, static)
        now = jax.random.fold_in(key, number)
        new = optimizer.step(model, state, objective, draw(now, number), key=now)[:2]
        return eqx.filter(new, eqx.is_array), None

    def stretch(arrays: PyTree, place: Array) -> tuple[PyTree, Array]:
        numbers = place * between + jax.numpy.arange(between)
        arrays, _ = jax.lax.scan(step, arrays, numbers)
        return arrays, measure(eqx.combine(arrays, static)[0])

    _, found = jax.lax.scan(stretch, arrays, jax.numpy.arange(points))
    return jax.numpy.concatenate([measure(model)[None], found])
