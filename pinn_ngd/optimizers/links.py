"""Optimizers and directions of this package as links of an Optax chain."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from .. import _tree
from ..metrics import AbstractMetric, EnergyMetric
from ..objectives import AbstractObjective
from .base import AbstractOptimizer, scalar_type
from .minibatch.directions import AbstractDirection
from .minibatch.natural_gradient import damped_system


class LinkState(NamedTuple):
    """The state of the optimizer or direction in a link, and the key of the next update."""

    inner: Any
    key: PRNGKeyArray


def as_optax(
    optimizer: AbstractOptimizer,
    objective: AbstractObjective,
    *,
    static: PyTree = None,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    """An optimizer of this package as an Optax transformation.

    `update(gradients, state, params, batch=...)` ignores the gradients (the natural gradient is
    computed from the objective's rows) and returns the change of the parameters. `static` is the
    non-trainable half of `eqx.partition(model, eqx.is_inexact_array)`. Without `batch` the
    objective draws one. Raises ValueError without `params`, and for an
    optimizer that returns another model than its last iterate (`Averaged`), because a
    transformation returns nothing but updates.
    """
    if type(optimizer).answer is not AbstractOptimizer.answer:
        msg = (
            "`optimizer` returns another model than its last iterate, a mean or the best one, but"
            " an Optax transformation only returns updates: wrap the inner optimizer of a mean, and"
            " average the parameters with optax.ema; the best one takes `train`."
        )
        raise ValueError(msg)

    def start(model: PyTree, batch: PyTree) -> PyTree:
        return optimizer.init(model, objective, batch)

    def change(model: PyTree, inner: PyTree, batch: PyTree, key: PRNGKeyArray) -> Any:
        new, inner, _ = optimizer.step(model, inner, objective, batch, key=key)
        after, before = _tree.trainable(new)[0], _tree.trainable(model)[0]
        return _tree.subtract(after, before), inner

    return _link(objective, static, seed, start, change)


def scale_by_natural_gradient(
    objective: AbstractObjective,
    direction: AbstractDirection,
    *,
    damping: float = 1e-2,
    metric: AbstractMetric = EnergyMetric(),  # noqa: B008  (immutable)
    static: PyTree = None,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    """Replaces a gradient by (A^T A + damping)^-1 times it: put descent or Adam behind it.

        optax.chain(scale_by_natural_gradient(objective, direction, static=static),
                    optax.scale_by_adam(), optax.scale(-1e-3))

    `update(gradients, state, params, batch=...)` ignores the gradients: rows and gradient come
    from the objective. `static` is the other half of `eqx.partition(model, eqx.is_inexact_array)`.
    Without `batch` the objective draws one. Raises ValueError without `params`.
    """

    def system(model: PyTree, batch: PyTree) -> Any:
        scalar = jnp.asarray(damping, scalar_type(model))
        return damped_system(metric, direction, objective, model, batch, scalar)

    def start(model: PyTree, batch: PyTree) -> PyTree:
        return direction.init(system(model, batch))

    def change(model: PyTree, inner: PyTree, batch: PyTree, key: PRNGKeyArray) -> Any:
        return direction(system(model, batch), inner, key)

    return _link(objective, static, seed, start, change)


def _link(
    objective: AbstractObjective,
    static: PyTree,
    seed: int,
    start: Callable[[PyTree, PyTree], PyTree],
    change: Callable[[PyTree, PyTree, PyTree, PRNGKeyArray], tuple[PyTree, PyTree]],
) -> optax.GradientTransformationExtraArgs:
    """A transformation that sees the whole model and a batch, and no gradient.

    `start(model, batch)` returns its first state, `change(model, state, batch, key)` an update of
    the parameters and the next state.
    """

    def whole(params: PyTree) -> PyTree:
        return params if static is None else eqx.combine(params, static)

    def init(params: PyTree) -> LinkState:
        key = jax.random.key(seed)
        return LinkState(start(whole(params), objective.batch(key)), key)

    def update(updates, state, params=None, *, batch=None, **extra):
        del updates, extra
        if params is None:
            msg = "`params` is required: call `update(gradients, state, params)`."
            raise ValueError(msg)
        key, now = jax.random.split(state.key)
        drawn = objective.batch(now) if batch is None else batch
        found, inner = change(whole(params), state.inner, drawn, now)
        return found, LinkState(inner, key)

    return optax.GradientTransformationExtraArgs(init, update)
