"""Transformations of Optax in the training loop of this package."""

from typing import ClassVar

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
    shares_examples: ClassVar[bool] = True

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
        # The compiled loop wants the types that `init` returned.
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
    """A tree with the leaves converted to the types of the leaves of another one."""
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), tree, like)


def _solves(state: PyTree) -> Solves:
    """The solves of a loss and a gradient, and of another pair for each trial of a line search."""
    trials = optax.tree_utils.tree_get(state, "num_linesearch_steps", 0)
    return Solves(forward=1 + trials, adjoint=1 + trials)
