"""Borders to Optax: any of its transformations in our loop, any of our optimizers in its chains."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray, PyTree

from .. import _tree
from .._settings import Count
from ..objectives import AbstractObjective
from .base import GO_ON, AbstractOptimizer, Solves, StepInfo


class OptaxOptimizer(AbstractOptimizer):
    """Any Optax transformation (Adam, L-BFGS, ...) behind this package's protocol.

    The loss that a step reports is the one its gradient was computed with. Non-finite updates are
    refused.
    """

    transformation: optax.GradientTransformation
    steps_per_call: Count = eqx.field(static=True, default=50)
    dtypes: ClassVar[tuple[str, ...]] = ("float16", "bfloat16", "float32", "float64")
    wants_float64: ClassVar[bool] = False

    @property
    def stride(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.steps_per_call

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> PyTree:
        del batch
        self.check(model, objective)
        params, _ = _tree.trainable(model)
        return self.transformation.init(params)

    def step(
        self,
        model: PyTree,
        state: PyTree,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree, StepInfo]:
        del key
        params, static = _tree.trainable(model)

        def loss(q: PyTree):
            # A line search of Optax tries points in JAX's default type, which models may not have.
            return objective.loss(eqx.combine(_typed(q, params), static), batch)

        value, gradient = jax.value_and_grad(loss)(params)
        transformation = optax.with_extra_args_support(self.transformation)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats.
            updates, after = transformation.update(
                gradient, state, params, value=value, grad=gradient, value_fn=loss
            )
        updates, state = _typed(updates, params), _typed(after, state)
        accepted = _tree.all_finite(updates)
        updates = _tree.where(accepted, updates, _tree.zeros_like(updates))
        zero = jnp.zeros_like(value)
        info = StepInfo(
            loss=value,
            gradient_norm=_tree.norm(gradient),
            step_length=_tree.norm(updates),
            damping=zero,
            predicted=zero,
            actual=zero,
            accepted=accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
            solves=_solves(state),
        )
        return eqx.apply_updates(model, updates), state, info


def _typed(tree: PyTree, like: PyTree) -> PyTree:
    """Leafwise a tree in the types of another one."""
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), tree, like)


def _solves(state: PyTree) -> Solves:
    """A loss and a gradient, and another pair for each trial of a line search."""
    trials = optax.tree_utils.tree_get(state, "num_linesearch_steps", 0)
    return Solves(forward=1 + trials, adjoint=1 + trials)


class AsOptaxState(NamedTuple):
    """State of `as_optax`: the wrapped optimizer's own and a key."""

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
    computed from the objective's rows) and returns the change of the parameters; `static` is the
    non-trainable half of `eqx.partition(model, eqx.is_inexact_array)`. Without `batch` the
    objective's own points are used. Raises ValueError for an optimizer that answers with something
    else than its last iterate (`Averaged`): a transformation has no place for that.
    """
    if type(optimizer).answer is not AbstractOptimizer.answer:
        msg = (
            "`optimizer` averages its iterates, but an Optax transformation only returns updates:"
            " wrap the inner optimizer, and average the parameters with optax.ema."
        )
        raise ValueError(msg)

    def model(params: PyTree) -> PyTree:
        return params if static is None else eqx.combine(params, static)

    def init(params: PyTree) -> AsOptaxState:
        points = objective.batch(jax.random.key(seed))
        return AsOptaxState(optimizer.init(model(params), objective, points), jax.random.key(seed))

    def update(updates, state, params=None, *, batch=None, **extra):
        del updates, extra
        if params is None:
            msg = "`params` is required: call `update(gradients, state, params)`."
            raise ValueError(msg)
        key, now = jax.random.split(state.key)
        points = objective.batch(now) if batch is None else batch
        new, inner, _ = optimizer.step(model(params), state.inner, objective, points, key=now)
        after, _ = _tree.trainable(new)
        before, _ = _tree.trainable(model(params))
        return _tree.subtract(after, before), AsOptaxState(inner, key)

    return optax.GradientTransformationExtraArgs(init, update)
