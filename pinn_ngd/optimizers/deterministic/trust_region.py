"""`engd-tr`: natural gradient with ratio-controlled damping and accelerated candidates."""

from collections.abc import Callable
from typing import Any, get_args

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._names import choose
from ..._settings import Fraction
from ...linalg import QLP, Form, LeastSquaresSystem, Prepared, Solution, prepare
from ...metrics import AbstractMetric, EnergyMetric
from ...objectives import AbstractObjective
from ..base import (
    GO_ON,
    NO_DAMPING_HELPS,
    STALLED,
    STATIONARY,
    AbstractOptimizer,
    Solves,
    StepInfo,
    scalar_type,
)
from ..cost import Cost, exact_cost, product_cost
from ..forms import POWER_ITERATIONS, gradient_of, options_for, shape_for, squared_norm, system_for
from . import counting
from .acceleration import AbstractAcceleration, Chord, Plain, StepEquation
from .candidates import Candidate, Search, longest_good

INITIAL_DAMPING = 1e-3  # relative to |A|_F^2
REJECTED_GROWTH = 1e4  # the grid spans five decades, so that the next one overlaps by one decade
LARGEST_DAMPING = 1e3  # relative to |A|_F^2: with it a step is a tiny gradient step
STALL_REDUCTION = 1e-4  # a step that lowers the loss by a smaller fraction counts as stalled
STALL_STEPS = 50
ENERGY_STALL_STEPS = 300  # a gradient norm, unlike a loss, does not fall monotonically


class TrustRegionState(eqx.Module):
    """The last accepted damping (zero before the first step), the smallest gradient norm so far,
    and the number of stalled steps in a row."""

    damping: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    stalled: Int[Array, ""]


class TrustRegion(AbstractOptimizer):
    """Natural gradient with one factorization and several candidate dampings a step.

    1. Assemble the metric's system (A, b) and factor A once.
    2. For dampings on a log grid around the last accepted one, solve
       d = argmin 1/2 |A d - b|^2 + damping/2 |d|^2 and correct d for curvature (`acceleration`).
    3. Compare actual with predicted reduction of the loss for each candidate and keep the
       *smallest damping* whose ratio reaches `acceptance`: the longest step that the model of the
       loss still describes. Choosing the candidate with the lowest loss is greedy and stalls.
    4. If none qualifies the parameters stay and the grid moves to larger dampings.

    `grid` is (smallest factor, largest factor, number of candidates). With `search` "grid" all
    candidates are tried; with "climb" those from the smallest up until one qualifies, which is the
    same one; with "walk" those from the middle of the grid down, as long as they qualify, or up,
    until one does, which may miss longer steps. "auto" walks on CPUs and is the grid elsewhere. The
    selection rule is that of a trust region with the largest acceptable radius (Webb, Jerad and
    Cartis, arXiv:2607.02194).
    """

    metric: AbstractMetric = EnergyMetric()
    solver: lx.AbstractLinearSolver = QLP()
    form: Form = eqx.field(static=True, default="auto")
    grid: tuple[float, float, int] = eqx.field(static=True, default=(1e-3, 1e2, 10))
    acceleration: AbstractAcceleration = Chord()
    acceptance: Fraction = 0.1
    search: Search = eqx.field(static=True, default="auto")

    def __check_init__(self):
        low, high, count = self.grid
        if not 0 < low <= high < float("inf") or not count >= 1:
            msg = f"`grid` is {self.grid}; give (smallest factor, largest factor, how many)."
            raise ValueError(msg)
        choose(self.search, get_args(Search), "`search`")
        self._check_acceleration()

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        self.metric.check(objective, matrix_free=self.form == "matrix-free")

    def cost(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> Cost:
        of_products = self.form == "matrix-free"
        shape = shape_for(self.metric, objective, model, batch)
        return (product_cost if of_products else exact_cost)(*shape)

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> TrustRegionState:
        del batch
        self.check(model, objective)
        dtype = scalar_type(model)
        infinite = jnp.asarray(jnp.inf, dtype)
        return TrustRegionState(jnp.zeros((), dtype), infinite, jnp.asarray(0, jnp.int32))

    def refreshed(self, state: TrustRegionState) -> TrustRegionState:
        """The same damping, with the count of stalled steps and the smallest gradient reset."""
        infinite = jnp.full_like(state.gradient_norm, jnp.inf)
        return TrustRegionState(state.damping, infinite, jnp.zeros_like(state.stalled))

    def step(
        self,
        model: PyTree,
        state: TrustRegionState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, TrustRegionState, StepInfo]:
        system = system_for(self.metric, objective, model, batch, form=self.form)
        right_hand_side = system.target if system.gradient is None else system.gradient
        before = objective.evaluate(model, batch)
        gradient = gradient_of(system)
        # Dampings are measured in units of |A|^2, so that scaling the loss changes no step.
        size = squared_norm(system.operator, gradient)
        damping = jnp.where(state.damping > 0, state.damping, INITIAL_DAMPING * size)
        dampings = damping * self._factors(damping.dtype)
        # Whether the cheaper Gram route is accurate enough is decided for the center of the grid.
        # For far smaller dampings it is not, or there is no Cholesky factor and the step is not a
        # number, but the loss decides about each candidate.
        prepared = prepare(system, self.solver, form=self.form, smallest_damping=damping)

        # All candidates share the noise of a device, so that they differ by their dampings alone.
        options = options_for(self.solver, key)

        def attempt(damping: Array) -> Candidate:
            at_damping = prepared.at(damping)

            def solver(relative_damping: float) -> Callable[[PyTree], PyTree]:
                own = relative_damping == 1
                there = at_damping if own else prepared.at(relative_damping * damping)
                return lambda rhs: _solve(there, rhs, options).value

            equation = StepEquation(
                objective,
                right_hand_side,
                solver,
                lambda d: _linear(system, d),
                lambda d: objective.evaluate(_tree.move(model, d), batch),
            )
            found = _solve(at_damping, right_hand_side, options)
            plain = found.value
            step, after = self.acceleration(equation, plain)
            actual, predicted = objective.reduction(before, after, step), _predicted(system, plain)
            # The prediction is positive but for rounding, which can make it negative.
            enough = actual >= self.acceptance * jnp.abs(predicted)
            good = enough & (actual > 0) & jnp.isfinite(after.loss)
            solves = counting.solution(system.operator, found)
            solves += counting.products(system.operator, 1)
            solves += Solves(forward=self.acceleration.evaluations)
            numbers = (counting.statistic(found, name) for name in ("rank", "condition"))
            return Candidate(damping, step, after.loss, predicted, actual, good, solves, *numbers)

        best = longest_good(attempt, dampings, self.search)
        accepted = best.good
        step = _tree.where(accepted, best.step, _tree.zeros_like(best.step))
        loss = jnp.where(accepted, best.loss, before.loss)
        info = StepInfo(
            loss=loss,
            gradient_norm=_tree.norm(gradient),
            step_length=_tree.norm(step),
            damping=jnp.where(accepted, best.damping, damping),
            predicted=best.predicted,
            actual=jnp.where(accepted, best.actual, jnp.zeros_like(loss)),
            accepted=accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
            solves=self._solves(objective, model, system, best.solves),
            rank=best.rank,
            condition=best.condition,
        )
        # Near the end many steps lower the loss by rounding errors only: that has to end the run.
        progress = _progress(system, state, info, before.loss)
        patience = STALL_STEPS if system.gradient is None else ENERGY_STALL_STEPS
        state, stop = _next(state, info, progress, size, objective.resampled, patience)
        info = eqx.tree_at(lambda i: i.stop, info, stop)
        return _tree.move(model, step), state, info

    def _solves(
        self,
        objective: AbstractObjective,
        model: PyTree,
        system: LeastSquaresSystem,
        tried: Solves,
    ) -> Solves | None:
        """The solves of a step; None for corrected steps of a matrix-free solver.

        The solves of a correction take part in a compiled loop and are not counted there.
        """
        stored = counting.is_stored(system.operator)
        if not stored and not isinstance(self.acceleration, Plain):
            return None
        count = counting.assembly(self.metric, objective, model, system.operator)
        count += counting.products(system.operator, POWER_ITERATIONS, POWER_ITERATIONS)
        count += tried + counting.gradient(system)
        return count + Solves(forward=1)

    def _check_acceleration(self) -> None:
        if not isinstance(self.metric, EnergyMetric) and not isinstance(self.acceleration, Plain):
            msg = (
                f"the acceleration {type(self.acceleration).__name__} corrects the residual of the"
                f" energy metric; with {type(self.metric).__name__} use `acceleration=Plain()`."
            )
            raise ValueError(msg)

    def _factors(self, dtype) -> Float[Array, " k"]:
        low, high, count = self.grid
        return jnp.logspace(jnp.log10(low), jnp.log10(high), count, dtype=dtype)


def _solve(prepared: Prepared, rhs: PyTree, options: dict[str, Any]) -> Solution:
    if prepared.system.gradient is not None:
        return prepared.solve(gradient=rhs, options=options)
    return prepared.solve(target=rhs, options=options)


def _linear(system: LeastSquaresSystem, step: PyTree) -> PyTree:
    """The first-order change of the right-hand side by a step: A d, or A^T A d of a gradient."""
    image = system.operator.mv(step)
    return image if system.gradient is None else system.operator.T.mv(image)


def _predicted(system: LeastSquaresSystem, step: PyTree) -> Array:
    """Reduction of 1/2 |A d - b|^2 (or of g.d - 1/2 |A d|^2) from zero to `step`."""
    image = system.operator.mv(step)
    if system.gradient is not None:
        return _tree.dot(system.gradient, step) - 0.5 * _tree.dot(image, image)
    return _tree.dot(_tree.subtract(system.target, _tree.scale(0.5, image)), image)


def _progress(
    system: LeastSquaresSystem, state: TrustRegionState, info: StepInfo, loss: Array
) -> Array:
    """Whether the loss fell measurably.

    The zero of an energy is arbitrary, so that a relative fall of it means nothing: there the norm
    of the gradient has to fall.
    """
    if system.gradient is None:
        return info.actual > STALL_REDUCTION * loss
    return info.gradient_norm < (1 - STALL_REDUCTION) * state.gradient_norm


def _next(
    state: TrustRegionState,
    info: StepInfo,
    progress: Array,
    size: Array,
    resampled: bool,
    patience: int,
) -> tuple[TrustRegionState, Int[Array, ""]]:
    """The state after a step, and the code of the reason to stop, if there is one.

    The damping goes up after a refused step. It stays above a floor of eps^2 |A|^2, below which it
    has no effect in floating-point numbers.
    """
    damping = jnp.where(info.accepted, info.damping, info.damping * REJECTED_GROWTH)
    floor = jnp.finfo(damping.dtype).eps ** 2 * size
    stalled = jnp.where(progress, 0, state.stalled + 1).astype(jnp.int32)
    stop = jnp.where(damping > LARGEST_DAMPING * size, NO_DAMPING_HELPS, GO_ON)
    stop = jnp.where(stalled >= patience, STALLED, stop)
    stop = jnp.where(info.gradient_norm == 0, STATIONARY, stop)
    if resampled:  # With the next points a step may succeed where it failed with these.
        stop = jnp.zeros_like(stop)
        damping = jnp.minimum(damping, LARGEST_DAMPING * size)
    smallest = jnp.minimum(state.gradient_norm, info.gradient_norm)
    state = TrustRegionState(jnp.maximum(damping, floor), smallest, stalled)
    return state, stop.astype(jnp.int32)
