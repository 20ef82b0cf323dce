"""`engd-sub`: a random part of the rows makes a step, another one judges it."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count, Fraction
from ...linalg import Spectral, prepare
from ...metrics import EnergyMetric
from ...objectives import AbstractObjective, ResidualObjective
from ..base import (
    GO_ON,
    NO_DAMPING_HELPS,
    STATIONARY,
    AbstractOptimizer,
    StepInfo,
    scalar_type,
)
from ..cost import Cost, part_cost
from ..forms import gradient_of, shape_for, squared_norm

LEAST, LARGEST, FIRST = 1e-12, 1.0, 1e-3  # dampings, in units of |A|_F^2
FACTORS = (1e-2, 1e-1, 1.0, 1e1, 1e2)  # of the last accepted damping
PATIENCE = 20  # refused steps in a row that end a run


class SubsampledState(eqx.Module):
    """The last direction, its damping in units of |A|_F^2, the refused steps in a row, and the
    iterate whose loss, on the rows drawn after it was made, is the least so far."""

    direction: PyTree
    damping: Float[Array, ""]
    refused: Int[Array, ""]
    best: PyTree
    best_loss: Float[Array, ""]


class Candidate(eqx.Module):
    """A direction, how far to go along it, and what the other rows say of that."""

    direction: PyTree
    length: Float[Array, ""]
    predicted: Float[Array, ""]
    actual: Float[Array, ""]


class SubsampledTrustRegion(AbstractOptimizer):
    """Natural gradient steps from few rows, for networks whose full step takes too long.

    1. Draw two sets of about `rows` points, S and V.
    2. With A and b on S and the last direction phi, solve for a few dampings around the last one

           d = argmin 1/2 |A d - (b - momentum A phi)|^2 + damping/2 |d|^2,
           phi' = d + momentum phi,

       the step of SPRING (Guzman-Cordero et al. 2025, Algorithm 1), in which the memory of earlier
       directions fills in what few rows do not see.
    3. On V, which phi' was not fitted to, go as far as the linearized residual there says, at most
       all the way, and compare its prediction with what the loss does. Keep the candidate that
       lowers the loss on V most, among those whose reduction is at least `acceptance` of the
       predicted one.
    4. If none does, the parameters stay, the memory is cleared and the damping goes up.

    So damping and length adapt to how much of a step holds beyond its own rows. A step costs
    rows^2 p operations for p parameters, instead of the n^2 p of all n rows.

    The error of the iterates fluctuates, since a step sees few rows. S and V were drawn after the
    iterate was made, so that the mean of the losses on both estimates its own without bias, at no
    cost. What is evaluated and returned (`answer`) is the iterate for which it was least; the last
    one, which nothing has judged, does not take part unless all rows judge each step.

    Needs an objective of residuals. With `rows` at least as many as there are points all of them
    make a step, and judge it.
    """

    rows: Count = 512
    momentum: Fraction = 0.98
    acceptance: Fraction = 0.1
    solver: lx.AbstractLinearSolver = Spectral(method="gram", refine=False)
    stride: ClassVar[int] = 5

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        if not isinstance(objective, ResidualObjective):
            msg = (
                f"'engd-sub' takes a part of the rows of a ResidualObjective, and this is a "
                f"{type(objective).__name__}: take 'engd-tr'."
            )
            raise ValueError(msg)

    def cost(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> Cost:
        assert isinstance(objective, ResidualObjective)
        objective.check_separable(batch)
        share = min(1.0, self.rows / sum(rule.weights.size for rule in batch))
        rows, *others = shape_for(EnergyMetric(), objective, model, batch)
        return part_cost(round(share * rows), *others)

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> SubsampledState:
        self.check(model, objective)
        assert isinstance(objective, ResidualObjective)
        objective.check_separable(batch)
        params, _ = _tree.trainable(model)
        damping = jnp.asarray(FIRST, scalar_type(model))
        infinite = jnp.full_like(damping, jnp.inf)
        zero = jnp.asarray(0, jnp.int32)
        return SubsampledState(_tree.zeros_like(params), damping, zero, params, infinite)

    def step(
        self,
        model: PyTree,
        state: SubsampledState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, SubsampledState, StepInfo]:
        assert isinstance(objective, ResidualObjective)
        made, judged = (objective.subset(batch, k, self.rows) for k in jax.random.split(key))
        system = objective.system(model, made)
        gradient = gradient_of(system)
        size = squared_norm(system.operator, gradient)
        dampings = jnp.clip(
            state.damping * jnp.asarray(FACTORS, state.damping.dtype), LEAST, LARGEST
        )
        drift = _tree.scale(self.momentum, state.direction)
        target = _tree.subtract(system.target, system.operator.mv(drift))
        prepared = prepare(system, self.solver, smallest_damping=LEAST * size)
        judge, before = _judge(objective, model, judged)

        def candidate(damping: Array) -> Candidate:
            found = prepared.solve(damping=damping * size, target=target).value
            return judge(_tree.add(found, drift))

        found = jax.lax.map(candidate, dampings)
        accepted, best = self._best(found)
        chosen = jax.tree.map(lambda leaf: leaf[best], found)
        kept = _tree.where(accepted, chosen, jax.tree.map(jnp.zeros_like, chosen))
        step = _tree.scale(kept.length, kept.direction)
        moved = _tree.move(model, step)
        if self._takes_all(batch):
            state = _compared(state, moved, before - kept.actual)
        else:
            own = 0.5 * _tree.dot(system.target, system.target)
            state = _compared(state, model, 0.5 * (own + before))
        state = _next(state, kept.direction, dampings, best, accepted)
        gradient_norm = _tree.norm(gradient)
        stop = jnp.where(state.refused >= PATIENCE, NO_DAMPING_HELPS, GO_ON)
        info = StepInfo(
            loss=before - kept.actual,
            gradient_norm=gradient_norm,
            step_length=_tree.norm(step),
            damping=state.damping * size,
            predicted=kept.predicted,
            actual=kept.actual,
            accepted=accepted,
            stop=jnp.where(gradient_norm == 0, STATIONARY, stop).astype(jnp.int32),
        )
        return moved, state, info

    def _takes_all(self, batch: PyTree) -> bool:
        """Whether all rows judge a step, so that the loss after it is known."""
        return self.rows >= sum(rule.weights.size for rule in batch)

    def _best(self, found: Candidate) -> tuple[Bool[Array, ""], Int[Array, ""]]:
        enough = found.actual >= self.acceptance * jnp.abs(found.predicted)
        good = enough & (found.actual > 0) & jnp.isfinite(found.actual)
        return jnp.any(good), jnp.argmax(jnp.where(good, found.actual, -jnp.inf))

    def refreshed(self, state: SubsampledState) -> SubsampledState:
        """The same memory, damping and best iterate, with the count of refused steps reset, and the
        loss forgotten: on other points it is another one."""
        infinite = jnp.full_like(state.best_loss, jnp.inf)
        none = jnp.zeros_like(state.refused)
        return SubsampledState(state.direction, state.damping, none, state.best, infinite)

    def answer(self, model: PyTree, state: SubsampledState) -> PyTree:
        """The iterate that fresh rows liked best."""
        _, static = _tree.trainable(model)
        return eqx.combine(state.best, static)


def _judge(objective: ResidualObjective, model: PyTree, batch: PyTree):
    """A function that says of a direction how far to go along it on these points and what that
    brings, and the loss on them."""
    params, static = _tree.trainable(model)

    def residuals(q: PyTree) -> PyTree:
        return objective.evaluate(eqx.combine(q, static), batch).right_hand_side

    before, linear = jax.linearize(residuals, params)
    loss = 0.5 * _tree.dot(before, before)

    def judge(direction: PyTree) -> Candidate:
        image = linear(direction)
        slope, curvature = _tree.dot(before, image), _tree.dot(image, image)
        least = jnp.finfo(slope.dtype).tiny
        length = jnp.clip(slope / jnp.maximum(curvature, least), 0.0, 1.0)
        after = residuals(_tree.subtract(params, _tree.scale(length, direction)))
        predicted = length * slope - 0.5 * length**2 * curvature
        return Candidate(direction, length, predicted, loss - 0.5 * _tree.dot(after, after))

    return judge, loss


def _compared(state: SubsampledState, model: PyTree, loss: Array) -> SubsampledState:
    """The state after the model of a step was judged by rows that no step to it had seen."""
    params, _ = _tree.trainable(model)
    better = loss < state.best_loss
    best = _tree.where(better, params, state.best)
    least = jnp.where(better, loss, state.best_loss)
    return SubsampledState(state.direction, state.damping, state.refused, best, least)


def _next(
    state: SubsampledState,
    direction: PyTree,
    dampings: Float[Array, " k"],
    best: Int[Array, ""],
    accepted: Bool[Array, ""],
) -> SubsampledState:
    """After a refusal the largest damping is the middle of the next ones, and no memory is left."""
    damping = jnp.where(accepted, dampings[best], dampings[-1])
    refused = jnp.where(accepted, 0, state.refused + 1).astype(jnp.int32)
    return SubsampledState(direction, damping, refused, state.best, state.best_loss)
