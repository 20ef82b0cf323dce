"""Hessian-free optimization: truncated conjugate gradients on Gauss-Newton products."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Fraction
from ...linalg import Descent, Form, Truncated, gram
from ...metrics import EnergyMetric
from ...objectives import AbstractObjective
from ..base import AbstractOptimizer, Solves, StepInfo, scalar_type
from ..damping import AbstractDamping, LevenbergMarquardt
from ..forms import gradient_of, system_for
from . import counting
from .judged import Descending, counted, next_damping
from .line_search import AbstractLineSearch, Armijo


class HessianFreeState(eqx.Module):
    """The last iterate of conjugate gradients, the damping of the next step, and the refused steps
    in a row."""

    direction: PyTree
    damping: Float[Array, ""]
    refused: Int[Array, ""]


class HessianFree(AbstractOptimizer):
    """theta <- theta - t d with d an early iterate of CG on (A^T A + damping) d = g.

    Martens (ICML 2010), with the Gauss-Newton matrix A^T A of the objective: conjugate gradients
    start at `decay` times their last iterate of the step before and end by their progress
    (`linalg.Truncated`). Of the iterates number ceil(1.3^j) the loss picks d, from the last one
    back as long as it falls; then the length t is searched, and the damping follows the ratio of
    true and predicted reduction, g.d - 1/2 |A d|^2, by factors of 2/3 and 3/2. They are not
    preconditioned. `form` "matrix-free" never stores A; "auto" stores it where it fits. 20 refused
    steps in a row end a run on fixed points.
    """

    damping: AbstractDamping = LevenbergMarquardt(1.0, factor=2 / 3, smallest=1e-14)
    inner: Truncated = Truncated(most=250, progress=5e-4, keep=True)
    decay: Fraction = 0.95
    search: AbstractLineSearch = Armijo(fraction=1e-2, expand=False)
    form: Form = eqx.field(static=True, default="auto")

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        EnergyMetric().check(objective, matrix_free=self.form == "matrix-free")

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> HessianFreeState:
        del batch
        self.check(model, objective)
        params, _ = _tree.trainable(model)
        damping = jnp.asarray(self.damping.initial, scalar_type(model))
        return HessianFreeState(_tree.zeros_like(params), damping, jnp.asarray(0, jnp.int32))

    def step(
        self,
        model: PyTree,
        state: HessianFreeState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, HessianFreeState, StepInfo]:
        del key
        system = system_for(EnergyMetric(), objective, model, batch, form=self.form)
        gradient = gradient_of(system)
        curvature = gram(system.operator, state.damping)
        start = _tree.scale(self.decay, state.direction)
        found = self.inner(curvature, gradient, start=start)
        before = objective.evaluate(model, batch)
        along = Descending(objective, model, batch, before, gradient)
        judged = along.searched(_picked(along, found), self.search)
        image: Any = system.operator.mv(judged.step)
        predicted = _tree.dot(gradient, judged.step) - 0.5 * _tree.dot(image, image)
        damping = next_damping(self.damping, state.damping, judged, predicted)
        kept = _tree.where(judged.accepted, found.value, _tree.zeros_like(found.value))
        refused = counted(state.refused, judged)
        solves = self._solves(objective, model, system, found)
        info = along.report(judged, predicted, state.damping, refused, solves=solves)
        return _tree.move(model, judged.step), HessianFreeState(kept, damping, refused), info

    def _solves(
        self, objective: AbstractObjective, model: PyTree, system: Any, found: Descent
    ) -> Solves:
        count = counting.assembly(EnergyMetric(), objective, model, system.operator)
        count += counting.products(system.operator, found.steps + 2, found.steps + 1)
        return count + counting.gradient(system) + Solves(forward=1 + found.count)

    def refreshed(self, state: HessianFreeState) -> HessianFreeState:
        """The same memory with the count of refused steps reset."""
        return eqx.tree_at(lambda s: s.refused, state, jnp.zeros_like(state.refused))


def _picked(along: Descending, found: Descent) -> PyTree:
    """The iterate before which, from the last one back, the loss falls no further."""
    if found.kept is None:
        return found.value

    def kept(j: Array) -> PyTree:
        return jax.tree.map(lambda stack: stack[jnp.maximum(j, 0)], found.kept)

    def gain(step: PyTree) -> Array:
        reduction = along.reduction(step)
        return jnp.where(jnp.isfinite(reduction), reduction, -jnp.inf)

    def better(carry: tuple[Array, Array, Array]) -> Array:
        j, best, there = carry
        return (j >= 0) & (there >= best)

    def back(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        j, _, there = carry
        return j - 1, there, gain(kept(j - 1))

    last = gain(found.value)
    start = found.count - 1, last, gain(kept(found.count - 1))
    j, _, _ = jax.lax.while_loop(better, back, start)
    chosen = kept(j + 1)
    return _tree.where(j + 1 >= found.count, found.value, chosen)
