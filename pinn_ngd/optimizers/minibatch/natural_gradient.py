"""Natural gradients of minibatches, consumed by any Optax transformation."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ... import _tree
from ...linalg import LeastSquaresSystem
from ...metrics import AbstractMetric, EnergyMetric
from ...objectives import AbstractObjective
from ..base import GO_ON, AbstractOptimizer, StepInfo, scalar_type
from ..damping import AbstractDamping, FixedDamping
from ..forms import gradient_of
from .base_points import AbstractBasePoint, Iterate
from .directions import AbstractDirection


class MinibatchState(eqx.Module):
    """States of the direction, of the transformation and of the base point, and the damping of the
    next step."""

    direction: PyTree
    transformation: PyTree
    damping: Float[Array, ""]
    base: PyTree = ()


class MinibatchNaturalGradient(AbstractOptimizer):
    """theta <- theta + u, u = transformation(d), d = (A^T A + damping)^-1 gradient of a batch.

    `direction` computes d, `transformation` (plain or momentum descent with a schedule, Adam, ...)
    makes an update u of it, and `damping` is the rule for the damping. A is the `metric` at the
    point that `base` says, by default the iterate (see `base_points`). Unlike `NaturalGradient`
    this optimizer searches no step length, because the loss of one batch is too noisy to choose
    one. It reports the loss before the step, as first-order optimizers do. A step that is not
    finite is refused.
    """

    direction: AbstractDirection
    transformation: optax.GradientTransformation
    damping: AbstractDamping = FixedDamping()
    metric: AbstractMetric = EnergyMetric()
    base: AbstractBasePoint = Iterate()
    wants_float64: ClassVar[bool] = False
    shares_examples: ClassVar[bool] = True

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        self.metric.check(objective, matrix_free=self.direction.matrix_free)

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> MinibatchState:
        self.check(model, objective)
        params, _ = _tree.trainable(model)
        damping = jnp.asarray(self.damping.initial, scalar_type(model))
        system, base = self._system(model, objective, batch, damping), self.base.init(model)
        return MinibatchState(
            self.direction.init(system), self.transformation.init(params), damping, base
        )

    def step(
        self,
        model: PyTree,
        state: MinibatchState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, MinibatchState, StepInfo]:
        base = self.base.point(state.base, model)
        system = self._system(base, objective, batch, state.damping)
        if base is not model:
            system = _with_gradient(system, objective, model, batch)
        # The direction takes the place of the gradient in the transformation.
        direction, memory = self.direction(system, state.direction, key)
        params, _ = _tree.trainable(model)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats.
            updates, inner = self.transformation.update(direction, state.transformation, params)
        updates = jax.tree.map(lambda u, q: u.astype(q.dtype), updates, params)
        # A zero update keeps the model where numbers have overflowed; the loop then sees the loss.
        accepted = _tree.all_finite(updates)
        updates = _tree.where(accepted, updates, _tree.zeros_like(updates))
        new = eqx.apply_updates(model, updates)
        before, gradient = objective.loss(model, batch), gradient_of(system)
        predicted = actual = jnp.zeros_like(before)
        damping = state.damping
        if self.damping.watches:  # only then, since it costs a loss and a product with A
            predicted = _predicted(system, gradient, updates)
            actual = before - objective.loss(new, batch)
            damping = self.damping.update(damping, actual / predicted)
        info = StepInfo(
            loss=before,
            gradient_norm=_tree.norm(gradient),
            step_length=_tree.norm(updates),
            damping=state.damping,
            predicted=predicted,
            actual=actual,
            accepted=accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
        )
        after = self.base.moved(state.base, model, objective, batch)
        return new, MinibatchState(memory, inner, damping, after), info

    def _system(
        self,
        model: PyTree,
        objective: AbstractObjective,
        batch: PyTree,
        damping: Float[Array, ""],
    ) -> LeastSquaresSystem:
        return damped_system(self.metric, self.direction, objective, model, batch, damping)


def damped_system(
    metric: AbstractMetric,
    direction: AbstractDirection,
    objective: AbstractObjective,
    model: PyTree,
    batch: PyTree,
    damping: Float[Array, ""],
) -> LeastSquaresSystem:
    """The metric's system with its damping, in the representation that the direction needs."""
    system = metric.system(objective, model, batch, matrix_free=direction.matrix_free)
    return LeastSquaresSystem(
        system.operator, system.target, gradient=system.gradient, damping=damping
    )


def _with_gradient(
    system: LeastSquaresSystem, objective: AbstractObjective, model: PyTree, batch: PyTree
) -> LeastSquaresSystem:
    """The same A and damping with the gradient at another model."""
    params, static = _tree.trainable(model)
    gradient = jax.grad(lambda q: objective.loss(eqx.combine(q, static), batch))(params)
    return LeastSquaresSystem(system.operator, gradient=gradient, damping=system.damping)


def _predicted(system: LeastSquaresSystem, gradient: PyTree, updates: PyTree) -> Array:
    """-(g.u + 1/2 |A u|^2): the reduction that the quadratic model of the loss predicts."""
    image = system.operator.mv(updates)
    return -_tree.dot(gradient, updates) - 0.5 * _tree.dot(image, image)
