"""Natural gradient with a fixed damping and a line search: ENGD, ENGD-W, SPRING and descent."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Fraction, NonNegative
from ...linalg import Form, LeastSquaresSystem, Solution, Spectral, prepare
from ...metrics import AbstractMetric, EnergyMetric
from ...objectives import AbstractObjective
from ..base import (
    GO_ON,
    NO_STEP_HELPS,
    STATIONARY,
    AbstractOptimizer,
    Solves,
    StepInfo,
    scalar_type,
)
from ..forms import POWER_ITERATIONS, gradient_of, masked, options_for, squared_norm, system_for
from . import counting
from .box import as_bounds, ends_of
from .line_search import AbstractLineSearch, GridLineSearch


class NaturalGradientState(eqx.Module):
    """What the next step starts from.

    The previous direction phi (for momentum), the number of steps that built it, and the length of
    the last step that was taken, zero where there was none.
    """

    direction: PyTree
    count: Int[Array, ""]
    length: Float[Array, ""]


class NaturalGradient(AbstractOptimizer):
    """theta <- theta - t phi with phi = argmin 1/2 |A d - b|^2 + damping/2 |d|^2.

    With `momentum` mu > 0 this is SPRING (Guzman-Cordero et al., NeurIPS 2025, Algorithm 1):
    phi_k = solve(b - mu A phi_{k-1}) + mu phi_{k-1}, the step being phi_k / sqrt(1 - mu^(2k)).
    `damping` 0 is the pseudo-inverse; `relative` gives it in units of |A|_F^2. With `bounds`
    (lower, upper), or {"sigma": (0, 20)} for some leaves, parameters that the gradient pushes
    against a bound stay there, and steps of the others are cut back into the box (two-metric
    projection). A step that the search refuses leaves the parameters unchanged and clears the
    momentum; a second refusal in a row ends the run.
    """

    metric: AbstractMetric = EnergyMetric()
    solver: lx.AbstractLinearSolver = Spectral()
    search: AbstractLineSearch = GridLineSearch()
    damping: NonNegative = 0.0
    relative: bool = eqx.field(static=True, default=False)
    momentum: Fraction = 0.0
    form: Form = eqx.field(static=True, default="auto")
    bounds: Any = eqx.field(static=True, default=None, converter=as_bounds)

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        self.metric.check(objective, matrix_free=self.form == "matrix-free")
        if self.bounds is not None:
            ends_of(self.bounds, _tree.trainable(model)[0])

    def init(
        self, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> NaturalGradientState:
        del batch
        self.check(model, objective)
        params, _ = _tree.trainable(model)
        none = jnp.asarray(0, jnp.int32), jnp.asarray(0, scalar_type(model))
        return NaturalGradientState(_tree.zeros_like(params), *none)

    def step(
        self,
        model: PyTree,
        state: NaturalGradientState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, NaturalGradientState, StepInfo]:
        system = system_for(self.metric, objective, model, batch, form=self.form)
        # Parameters at a bound leave the system before the solve: cutting back the whole step
        # afterwards would be no descent method. What products cost is what the whole one says.
        whole, system = system, self._without_active(system, model)
        damping = jnp.asarray(self.damping, scalar_type(model))
        if self.relative and self.damping:
            damping = damping * squared_norm(system.operator, gradient_of(system))
        prepared = prepare(system, self.solver, form=self.form, smallest_damping=damping)
        solution, gradient = self._direction(objective, prepared, system, state, damping, key)
        phi = self._with_drift(solution.value, state)
        count = state.count + 1
        # The momentum starts from zero, which makes the first directions too short.
        correction = self._bias_correction(count, damping.dtype)
        direction = _tree.scale(correction, phi)
        before = objective.evaluate(model, batch)

        def step_of(t):
            return self._within_bounds(model, _tree.scale(t, direction))

        def reduction(t):
            step = step_of(t)
            after = objective.evaluate(_tree.move(model, step), batch)
            return objective.reduction(before, after, step)

        def predicted(t):
            return _tree.dot(gradient, step_of(t))

        t, gain, accepted, evaluations = self.search(
            reduction, _tree.norm(direction), predicted, state.length
        )
        step = _tree.where(accepted, step_of(t), _tree.zeros_like(direction))
        gain = jnp.where(accepted, gain, jnp.zeros_like(gain))  # it may be NaN for a refused step
        # After a refusal the momentum is cleared (count 0), which may help once. A second refusal
        # would repeat itself for ever, unless the next step has other points.
        hopeless = ~accepted & (state.count == 0) & (not objective.resampled)
        gradient_norm = _tree.norm(gradient)
        stop = jnp.where(hopeless, NO_STEP_HELPS, GO_ON)
        stop = jnp.where(gradient_norm == 0, STATIONARY, stop)
        info = StepInfo(
            loss=before.loss - gain,
            gradient_norm=gradient_norm,
            step_length=_tree.norm(step),
            damping=damping,
            predicted=predicted(t),
            actual=gain,
            accepted=accepted,
            stop=stop.astype(jnp.int32),
            solves=self._solves(objective, model, whole, solution, evaluations),
            rank=counting.statistic(solution, "rank"),
            condition=counting.statistic(solution, "condition"),
        )
        return _tree.move(model, step), self._remember(phi, count, t, accepted), info

    def _direction(self, objective, prepared, system: LeastSquaresSystem, state, damping, key):
        """The solution of the damped system, shifted by the momentum, and the gradient."""
        options = options_for(self.solver, key)
        if system.gradient is not None:
            if self.momentum:
                msg = (
                    f"`momentum` needs a system with residuals, and {type(objective).__name__} with"
                    f" {type(self.metric).__name__} gives its gradient only: take 'engd-w' or"
                    " 'engd-tr', which have no momentum."
                )
                raise ValueError(msg)
            solution = prepared.solve(damping=damping, gradient=system.gradient, options=options)
            return solution, system.gradient
        gradient = gradient_of(system)
        if not self.momentum:
            solution = prepared.solve(damping=damping, target=system.target, options=options)
            return solution, gradient
        drift = _tree.scale(self.momentum, state.direction)
        target = _tree.subtract(system.target, system.operator.mv(drift))
        return prepared.solve(damping=damping, target=target, options=options), gradient

    def _with_drift(self, direction: PyTree, state: NaturalGradientState) -> PyTree:
        if not self.momentum:
            return direction
        return _tree.add(direction, _tree.scale(self.momentum, state.direction))

    def _solves(
        self,
        objective: AbstractObjective,
        model: PyTree,
        system: LeastSquaresSystem,
        solution: Solution,
        evaluations: Int[Array, ""],
    ) -> Solves:
        powers = POWER_ITERATIONS if self.relative and self.damping else 0
        count = counting.products(system.operator, powers + bool(self.momentum), powers)
        count += counting.assembly(self.metric, objective, model, system.operator)
        count += counting.solution(system.operator, solution)
        count += counting.gradient(system)
        return count + Solves(forward=1 + evaluations)

    def _without_active(self, system: LeastSquaresSystem, model: PyTree) -> LeastSquaresSystem:
        """The system of the parameters that no bound stops.

        Cutting back a step of all parameters is no descent method where A^T A is not diagonal;
        leaving out those at a bound that the gradient pushes against makes it one (Bertsekas, SIAM
        J. Control Optim. 1982).
        """
        if self.bounds is None:
            return system
        params, _ = _tree.trainable(model)
        gradient = gradient_of(system)
        free = jax.tree.map(
            lambda q, g, lower, upper: (((q > lower) | (g < 0)) & ((q < upper) | (g > 0))).astype(
                q.dtype
            ),
            params,
            gradient,
            *ends_of(self.bounds, params),
        )
        return masked(system, free)

    def _within_bounds(self, model: PyTree, step: PyTree) -> PyTree:
        if self.bounds is None:
            return step
        params, _ = _tree.trainable(model)
        return jax.tree.map(
            lambda q, d, lower, upper: q - jnp.clip(q - d, lower, upper),
            params,
            step,
            *ends_of(self.bounds, params),
        )

    def _bias_correction(self, count: Int[Array, ""], dtype) -> Float[Array, ""]:
        decay = jnp.asarray(self.momentum, dtype) ** (2 * count.astype(dtype))
        return 1 / jnp.sqrt(1 - decay)

    def _remember(
        self, phi: PyTree, count: Array, length: Array, accepted: Array
    ) -> NaturalGradientState:
        if not self.momentum:
            phi, count = _tree.zeros_like(phi), jnp.zeros_like(count)
        kept = _tree.where(accepted, phi, _tree.zeros_like(phi))
        count = jnp.where(accepted, count, 0).astype(jnp.int32)
        return NaturalGradientState(kept, count, jnp.where(accepted, length, 0))
