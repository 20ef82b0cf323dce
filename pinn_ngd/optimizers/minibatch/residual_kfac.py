"""K-FAC for residuals of differential equations: a Kronecker product for every layer and term."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count, Fraction
from ...linalg import CG, KroneckerFactored, LeastSquaresSystem, solve
from ...objectives import (
    AbstractObjective,
    ResidualObjective,
    check_pointwise,
    layer_coverage,
    layerwise_system,
)
from ..base import (
    GO_ON,
    NO_STEP_HELPS,
    STATIONARY,
    AbstractOptimizer,
    StepInfo,
    scalar_type,
)
from ..damping import AbstractDamping, LevenbergMarquardt
from ..deterministic.line_search import AbstractLineSearch
from ..forms import gradient_of
from .quadratic_model import combined, quadratic_model

PATIENCE = 20  # refused steps in a row that end a run


class ResidualKFACState(eqx.Module):
    """The kept factors, the last update, the damping of the next step, the number of steps, and
    the refused ones in a row."""

    factors: PyTree
    previous: PyTree
    damping: Float[Array, ""]
    count: Int[Array, ""]
    refused: Int[Array, ""]


class _Move(eqx.Module):
    """An update, what the loss was expected to fall by, what it fell by, and whether it counts."""

    update: PyTree
    predicted: Float[Array, ""]
    actual: Float[Array, ""]
    accepted: Bool[Array, ""]


class ResidualKFAC(AbstractOptimizer):
    """theta <- theta + u with u from d = (F + damping)^-1 g, F block diagonal over layers.

    Derivatives of the network in x send several vectors through each weight, as convolutions do. So
    the block of a layer (o, i) in a term of the objective is G (x) A with, over n points and the s
    uses of the weight at each (`objectives.layerwise_system`),

        A = 1/n sum a a^T,    G = 1/s sum g g^T,

    a what the weight multiplies and g the derivative of the weighted residual in the product
    (Dangel, Mueller and Zeinhofer, NeurIPS 2024). The block F is the sum of those of the terms, and
    the system of two terms is solved exactly, with the damping of K-FAC shared among the terms
    (`linalg.KroneckerSum`). The factors are averages over the steps with weight 1 - min(1 - 1/k,
    `decay`) for those of step k. Parameters outside of captured layers get the diagonal of their
    block; `init` warns with their names.

    Without `search` u = -c_0 d + c_1 p, p the update before, with the c that minimize the damped
    quadratic model of the loss with the exact Gauss-Newton matrix (the K-FAC* of that paper; no p
    where `momentum` is 0). With `search` u = t (-d + momentum p), and t is searched.

    K-FAC's direction is the first iterate of conjugate gradients on (A^T A + damping) d = g, up to
    its length, where the preconditioner is (F + damping)^-1; `iterations` says which iterate d is.
    One takes a product with A and one with A^T, which cost little once the uses are known.

    The damping follows the ratio of true and predicted reduction where its rule does. A step that
    does not lower the loss of its points is refused and clears p; 20 in a row end the run.
    """

    solver: KroneckerFactored = KroneckerFactored()
    damping: AbstractDamping = LevenbergMarquardt(1e-3)
    decay: Fraction = 0.95
    momentum: Fraction = 0.9
    iterations: Count = eqx.field(static=True, default=1)
    search: AbstractLineSearch | None = None

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        if not isinstance(objective, ResidualObjective):
            msg = (
                f"'kfac-pinn' takes the residuals of a ResidualObjective apart, and this is a"
                f" {type(objective).__name__}: take 'kfac' for data, 'engd-tr' for the others."
            )
            raise ValueError(msg)
        check_pointwise(objective)

    def init(self, model: PyTree, objective: AbstractObjective, batch: Any) -> ResidualKFACState:
        self.check(model, objective)
        assert isinstance(objective, ResidualObjective)
        _check_coverage(model, objective, batch)

        def first(model: PyTree, batch: Any) -> PyTree:
            return self.solver.refreshed(None, layerwise_system(objective, model, batch).operator)

        shapes = eqx.filter_eval_shape(first, model, batch)
        factors = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        damping = jnp.asarray(self.damping.initial, scalar_type(model))
        zero = jnp.asarray(0, jnp.int32)
        params, _ = _tree.trainable(model)
        return ResidualKFACState(factors, _tree.zeros_like(params), damping, zero, zero)

    def step(
        self,
        model: PyTree,
        state: ResidualKFACState,
        objective: AbstractObjective,
        batch: Any,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, ResidualKFACState, StepInfo]:
        assert isinstance(objective, ResidualObjective)
        del key
        system = layerwise_system(objective, model, batch)
        gradient = gradient_of(system)
        k = (state.count + 1).astype(state.damping.dtype)
        keep = jnp.minimum(1 - 1 / k, self.decay)
        factors = self.solver.refreshed(state.factors, system.operator, keep=keep)
        direction = self._direction(factors, system.operator, gradient, state.damping)
        before = objective.evaluate(model, batch)

        def reduction(update: PyTree) -> Float[Array, ""]:
            after = objective.evaluate(eqx.apply_updates(model, update), batch)
            return objective.reduction(before, after, _tree.scale(-1.0, update))

        plane = quadratic_model(system.operator, gradient, direction, state.previous, state.damping)
        move = self._searched if self.search is not None else self._minimized
        made = move(reduction, plane, gradient, direction, state.previous)
        update = _tree.where(made.accepted, made.update, _tree.zeros_like(made.update))
        actual = jnp.where(made.accepted, made.actual, 0.0)
        ratio = jnp.where(made.accepted, made.actual / made.predicted, -jnp.inf)
        factors = _tree.where(_tree.all_finite(factors), factors, state.factors)
        refused = jnp.where(made.accepted, 0, state.refused + 1).astype(jnp.int32)
        gradient_norm = _tree.norm(gradient)
        stop = jnp.where(refused >= PATIENCE, NO_STEP_HELPS, GO_ON)
        info = StepInfo(
            loss=before.loss - actual,
            gradient_norm=gradient_norm,
            step_length=_tree.norm(update),
            damping=state.damping,
            predicted=made.predicted,
            actual=actual,
            accepted=made.accepted,
            stop=jnp.where(gradient_norm == 0, STATIONARY, stop).astype(jnp.int32),
        )
        damping = self.damping.update(state.damping, ratio)
        new = ResidualKFACState(factors, update, damping, state.count + 1, refused)
        return eqx.apply_updates(model, update), new, info

    def _direction(
        self, factors: PyTree, operator: Any, gradient: PyTree, damping: Float[Array, ""]
    ) -> PyTree:
        """K-FAC's direction, or conjugate gradients preconditioned by it."""

        def kfac(g: PyTree) -> PyTree:
            return self.solver.compute_kept(factors, g, damping)[0]

        if self.iterations == 1:
            return kfac(gradient)
        exact = LeastSquaresSystem(operator, gradient=gradient, damping=damping)
        solver = CG(rtol=0.0, atol=0.0, max_steps=self.iterations)
        structure, tag = jax.eval_shape(lambda: gradient), lx.positive_semidefinite_tag
        options = {"preconditioner": lx.FunctionLinearOperator(kfac, structure, tag)}
        return solve(exact, solver, form="primal", options=options).value

    def _minimized(self, reduction, plane, gradient, direction, previous) -> _Move:
        """The least of the quadratic model on the plane of direction and last update."""
        del gradient
        c = plane.minimizer(momentum=self.momentum > 0)
        update = combined(c, direction, previous)
        gain = reduction(update)
        return _Move(update, plane.reduction(c), gain, gain > 0)

    def _searched(self, reduction, plane, gradient, direction, previous) -> _Move:
        """The best length along a direction with heavy-ball momentum."""
        assert self.search is not None
        one = jnp.asarray([1.0, self.momentum], plane.slope.dtype)
        along = combined(one, direction, previous)
        slope = -_tree.dot(gradient, along)
        t, gain, accepted, _ = self.search(
            lambda t: reduction(_tree.scale(t, along)), _tree.norm(along), lambda t: t * slope
        )
        # The model says nothing of a step beyond its own least, so that it is asked for the length.
        return _Move(_tree.scale(t, along), plane.reduction(t * one), gain, accepted)

    def refreshed(self, state: ResidualKFACState) -> ResidualKFACState:
        """The same memory with the count of refused steps reset."""
        return eqx.tree_at(lambda s: s.refused, state, jnp.zeros_like(state.refused))


def _check_coverage(model: PyTree, objective: ResidualObjective, batch: Any) -> None:
    found = layer_coverage(objective, model, batch)
    if len(found.diagonal) == len(found.parameters):
        msg = (
            "no layer of the model can be captured, so that no parameter gets a Kronecker block:"
            " build it of `Linear` layers that are called outside of scans, or take 'engd-sub'."
        )
        raise ValueError(msg)
    if found.diagonal:
        msg = (
            f"these parameters get a diagonal block and no Kronecker factors:"
            f" {', '.join(found.diagonal)}; `objectives.layer_coverage(objective, model, batch)`"
            " says why."
        )
        warnings.warn(msg, stacklevel=3)
