"""Newton's method by conjugate gradients that a Nystrom approximation preconditions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count
from ...linalg import NystromPreconditioner, Truncated, nystrom
from ...linalg._ravel import hashable
from ...objectives import AbstractObjective
from ..base import AbstractOptimizer, StepInfo, scalar_type
from ..damping import AbstractDamping, FixedDamping, Undamped
from .judged import Descending, counted, next_damping
from .line_search import AbstractLineSearch, Armijo


class NystromNewtonState(eqx.Module):
    """The kept eigenvalues and eigenvectors, the last direction, the damping of the next step, the
    number of steps, and the refused ones in a row."""

    values: Float[Array, " k"]
    vectors: Float[Array, "p k"]
    direction: PyTree
    damping: Float[Array, ""]
    count: Int[Array, ""]
    refused: Int[Array, ""]


class NystromNewton(AbstractOptimizer):
    """theta <- theta - t d with (H + damping I) d = g, H the Hessian of the loss.

    NysNewton-CG (Rathore, Lei, Frangella, Lu and Udell, ICML 2024, Algorithm 4): d comes from
    conjugate gradients that start at the last d and that a Nystrom approximation of H of rank
    `rank` preconditions (`linalg.NystromPreconditioner`), made of products with H every
    `refresh_every` steps. t is searched. Beside that paper: conjugate gradients end at a direction
    of negative curvature, a d that is none of descent is replaced by the gradient, and after a
    refused step the approximation is made anew and d starts at zero. 20 refused steps in a row end
    a run on fixed points. A product with H is a derivative of the gradient; no row of a Jacobian is
    stored, and any loss with second derivatives will do. Raises ValueError for a damping of zero:
    the approximation of an indefinite Hessian has eigenvalues zero.
    """

    rank: Count = eqx.field(static=True, default=60)
    refresh_every: Count = eqx.field(static=True, default=20)
    damping: AbstractDamping = FixedDamping(1e-2)
    inner: Truncated = Truncated(most=1000, tolerance=1e-16)
    search: AbstractLineSearch = Armijo(fraction=0.1, expand=False)

    def __check_init__(self):
        if isinstance(self.damping, Undamped):
            raise ValueError(
                "`damping` is `Undamped()`, and the preconditioner of `NystromNewton` divides by "
                "eigenvalues that are zero without one: take `FixedDamping(1e-4)`."
            )

    def init(
        self, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> NystromNewtonState:
        del batch
        self.check(model, objective)
        params, _ = _tree.trainable(model)
        p, dtype = _tree.size(model), scalar_type(model)
        k, zero = min(self.rank, p), jnp.asarray(0, jnp.int32)
        pairs = jnp.zeros(k, dtype), jnp.zeros((p, k), dtype)
        damping = jnp.asarray(self.damping.initial, dtype)
        return NystromNewtonState(*pairs, _tree.zeros_like(params), damping, zero, zero)

    def step(
        self,
        model: PyTree,
        state: NystromNewtonState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, NystromNewtonState, StepInfo]:
        gradient, hessian = _derivatives(objective, model, batch)
        stale = (state.count % self.refresh_every == 0) | (state.refused > 0)
        values, vectors = jax.lax.cond(
            stale,
            lambda: nystrom(hessian, self.rank, key).eigenpairs(),
            lambda: (state.values, state.vectors),
        )
        direction, convex = self._direction(hessian, gradient, values, vectors, state)
        before = objective.evaluate(model, batch)
        along = Descending(objective, model, batch, before, gradient)
        judged = along.searched(direction, self.search)
        curved = hessian.mv(judged.step)
        predicted = _tree.dot(gradient, judged.step) - 0.5 * _tree.dot(curved, judged.step)
        # Where H + damping I is seen to be indefinite its model is none, whatever it predicts.
        trusted = jnp.where(convex, predicted, jnp.zeros_like(predicted))
        damping = next_damping(self.damping, state.damping, judged, trusted)
        kept = _tree.where(judged.accepted, direction, _tree.zeros_like(direction))
        refused = counted(state.refused, judged)
        info = along.report(judged, predicted, state.damping, refused)
        count = state.count + 1
        new = NystromNewtonState(values, vectors, kept, damping, count, refused)
        return _tree.move(model, judged.step), new, info

    def _direction(
        self,
        hessian: lx.AbstractLinearOperator,
        gradient: PyTree,
        values: Array,
        vectors: Array,
        state: NystromNewtonState,
    ) -> tuple[PyTree, Bool[Array, ""]]:
        """d, and whether no direction of negative curvature was met."""
        structure = hessian.in_structure()

        def damped(v: PyTree) -> PyTree:
            return _tree.add(hessian.mv(v), _tree.scale(state.damping, v))

        operator = lx.FunctionLinearOperator(damped, structure, lx.symmetric_tag)
        preconditioner = NystromPreconditioner(
            values, vectors, state.damping, frozen_in=hashable(structure)
        )
        start = state.direction
        found = self.inner(operator, gradient, start=start, preconditioner=preconditioner)
        descends = _tree.all_finite(found.value) & (_tree.dot(found.value, gradient) > 0)
        return _tree.where(descends, found.value, gradient), ~found.indefinite

    def refreshed(self, state: NystromNewtonState) -> NystromNewtonState:
        """The same memory with the count of refused steps reset."""
        return eqx.tree_at(lambda s: s.refused, state, jnp.zeros_like(state.refused))


def _derivatives(
    objective: AbstractObjective, model: PyTree, batch: PyTree
) -> tuple[PyTree, lx.AbstractLinearOperator]:
    """The gradient of the loss, and its Hessian by products."""
    params, static = _tree.trainable(model)

    def loss(q: PyTree) -> Any:
        return objective.loss(eqx.combine(q, static), batch)

    gradient, product = jax.linearize(jax.grad(loss), params)
    structure = jax.eval_shape(lambda: params)
    return gradient, lx.FunctionLinearOperator(product, structure, lx.symmetric_tag)
