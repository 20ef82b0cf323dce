"""The natural-gradient direction as a link of an Optax chain."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from ..metrics import AbstractMetric, EnergyMetric
from ..objectives import AbstractObjective
from .base import scalar_type
from .directions import AbstractDirection
from .minibatch import damped_system


class DirectionState(NamedTuple):
    """The direction's own state, and a key."""

    inner: Any
    key: PRNGKeyArray


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

    def system(params: PyTree, batch: PyTree) -> Any:
        model = params if static is None else eqx.combine(params, static)
        scalar = jnp.asarray(damping, scalar_type(params))
        return damped_system(metric, direction, objective, model, batch, scalar)

    def init(params: PyTree) -> DirectionState:
        key = jax.random.key(seed)
        return DirectionState(direction.init(system(params, objective.batch(key))), key)

    def update(updates, state, params=None, *, batch=None, **extra):
        del updates, extra
        if params is None:
            msg = "`params` is required: call `update(gradients, state, params)`."
            raise ValueError(msg)
        key, now = jax.random.split(state.key)
        drawn = objective.batch(now) if batch is None else batch
        found, inner = direction(system(params, drawn), state.inner, now)
        return found, DirectionState(inner, key)

    return optax.GradientTransformationExtraArgs(init, update)
