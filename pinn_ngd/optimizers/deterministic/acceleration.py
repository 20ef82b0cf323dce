"""Corrections of a damped step for the curvature of the residual.

A damped Gauss-Newton step d0 = argmin 1/2 |A d - b|^2 + damping/2 |d|^2 uses the linearization
b(theta - d) = b - A d. The loss of a network has narrow curved valleys, in which the remainder of
the linearization, and not the length of the step, forbids a small damping. Both accelerations below
add (an estimate of) the remainder to the target and solve again with the same factorization.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ... import _tree
from ..._settings import Count, NonNegative, Positive, check_fields
from ...objectives import AbstractObjective, Evaluation


class StepEquation(eqx.Module):
    """The equation of a step for one damping at one model, as an acceleration sees it.

    `right_hand_side` is the residual b or the gradient g at the model. `solver(relative_damping)`
    returns the damped solve rhs -> step, with what all right-hand sides share done. `linear(d)` is
    the change of the right-hand side by the linear model (A d, or A^T A d where it is a gradient),
    and `evaluate(d)` the objective at theta - d.
    """

    objective: AbstractObjective
    right_hand_side: PyTree
    solver: Callable[[float], Callable[[PyTree], PyTree]]
    linear: Callable[[PyTree], PyTree]
    evaluate: Callable[[PyTree], Evaluation]


class AbstractAcceleration(eqx.Module):
    """Corrects a damped step; returns the corrected step and the objective after it."""

    def __check_init__(self):
        check_fields(self)

    @abc.abstractmethod
    def __call__(self, equation: StepEquation, step: PyTree) -> tuple[PyTree, Evaluation]: ...

    @property
    @abc.abstractmethod
    def evaluations(self) -> int:
        """Evaluations of the objective that one call makes at most."""


class Plain(AbstractAcceleration):
    """No correction: the step of Levenberg and Marquardt."""

    def __call__(self, equation: StepEquation, step: PyTree) -> tuple[PyTree, Evaluation]:
        return step, equation.evaluate(step)

    @property
    def evaluations(self) -> int:
        return 1


class Chord(AbstractAcceleration):
    """Predictor and corrector: simplified Newton iterations with a fixed Jacobian.

    The predictor d0 is the damped step. The corrector looks for the fixed point of

        d = d0 + solve_c(rho(d)),    rho(d) = b(theta - d) - (b - A d),

    where rho is the exact remainder of the linearization and solve_c the damped solve with
    `relative_damping` times the step's damping. With `relative_damping` 1 that is
    A^T b(theta - d) = damping d, the stationarity of 1/2 |b(theta - d)|^2 + damping/2 |d|^2 with a
    fixed transposed Jacobian: an implicit Euler step of the natural-gradient flow. A larger value
    corrects the stiff directions only, in which the remainder is large. The iteration then
    contracts for dampings that are smaller by orders of magnitude.

    The first iteration contains geodesic acceleration (the second-order part of the remainder). It
    costs one evaluation of the objective and no second derivative. Further iterations follow the
    curved floor of a valley to all orders. An iterate is kept only if it lowers the loss and stays
    within `limit` |d0| of the predictor.
    """

    iterations: Count = eqx.field(static=True, default=4)
    limit: Positive = 3.0
    relative_damping: NonNegative = 1e3

    def __call__(self, equation: StepEquation, step: PyTree) -> tuple[PyTree, Evaluation]:
        radius = self.limit * _tree.norm(step)
        solve = equation.solver(self.relative_damping)

        def corrected(d: PyTree, there: Evaluation) -> PyTree:
            linearized = _tree.subtract(equation.right_hand_side, equation.linear(d))
            remainder = _tree.subtract(there.right_hand_side, linearized)
            return _tree.add(step, solve(remainder))

        def goes_on(loop: tuple) -> Bool[Array, ""]:
            count, kept, _ = loop
            # The iterate after one that was not kept would be the same again.
            return (count <= self.iterations) & kept

        def iterate(loop: tuple) -> tuple:
            count, _, (d, there) = loop
            # The predictor is evaluated by the code of the iterates, which so is compiled once.
            is_predictor = count == 0
            candidate = jax.lax.cond(is_predictor, lambda *_: step, corrected, d, there)
            evaluation = equation.evaluate(candidate)
            change = _tree.subtract(candidate, d)
            better = equation.objective.reduction(there, evaluation, change) > 0
            inside = _tree.norm(_tree.subtract(candidate, step)) <= radius
            kept = is_predictor | (better & inside)
            return count + 1, kept, _tree.where(kept, (candidate, evaluation), (d, there))

        right_hand_side = equation.right_hand_side
        nothing = Evaluation(jnp.zeros_like(radius), _tree.zeros_like(right_hand_side))
        start = jnp.asarray(0), jnp.asarray(True), (step, nothing)
        return jax.lax.while_loop(goes_on, iterate, start)[2]

    @property
    def evaluations(self) -> int:
        return 1 + self.iterations


class Geodesic(AbstractAcceleration):
    """Geodesic acceleration (Transtrum and Sethna, arXiv:1201.5885).

    With w the second derivative of the right-hand side along the step d, the correction is
    1/2 solve(w) (for steps theta - d); it is dropped where longer than `limit` |d|.
    """

    limit: Positive = 0.75

    def __call__(self, equation: StepEquation, step: PyTree) -> tuple[PyTree, Evaluation]:
        def right_hand_side(t: Float[Array, ""]) -> PyTree:
            return equation.evaluate(_tree.scale(t, step)).right_hand_side

        zero = jnp.zeros_like(_tree.norm(step))
        one = jnp.ones_like(zero)

        def slope(t: Float[Array, ""]) -> PyTree:
            return jax.jvp(right_hand_side, (t,), (one,))[1]

        _, second = jax.jvp(slope, (zero,), (one,))
        correction = _tree.scale(0.5, equation.solver(1.0)(second))
        short = _tree.norm(correction) <= self.limit * _tree.norm(step)
        step = _tree.where(short, _tree.add(step, correction), step)
        return step, equation.evaluate(step)

    @property
    def evaluations(self) -> int:
        return 4  # the second derivative costs about three evaluations
