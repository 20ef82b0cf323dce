"""Metrics on states: the natural gradient as min |Y d - b|, Y = L Z, b = (L^+)^T phi."""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..geometry.grids import Grid
from ..linalg import JacobianRows, LeastSquaresSystem, ProductOperator
from ..objectives import AbstractObjective
from ..states import AbstractState, StateObjective
from .base import AbstractMetric

Field = Float[Array, "..."]


class AbstractStateMetric(AbstractMetric):
    """A metric <u, v> = (L u) . (L v) on the tangents of a state, L depending on the state.

    With Z the Jacobian of the state and phi = df/drho, the step d solves

        min_d |Y d - b|,    Y = L Z,    b = (L^+)^T phi

    (Nurbekyan, Lei and Yang, SIAM J. Sci. Comput. 2023): its normal equations are
    Z^T L^T L Z d = Z^T phi, whose matrix, the information matrix, is never formed. The quadrature
    weight of the grid is part of L, so that metrics converge under refinement.

    The state is that of a `StateObjective`. For any other objective (PINN residuals, energies) the
    metric acts on its field `state`, such as `PointwiseState(grid)`, the network on a grid; the
    gradient of the loss then replaces Y^T b. `needs_positive` says whether the state has to be a
    density. Raises ValueError where neither the objective nor the metric has a state.
    """

    state: eqx.AbstractVar[AbstractState | None]
    needs_state: ClassVar[bool] = True
    needs_positive: ClassVar[bool] = False

    @property
    def is_blind(self) -> bool:
        """Whether <1, 1> = 0 on a grid with a closed boundary, so that it needs an open one."""
        return False

    @abc.abstractmethod
    def factor(self, grid: Grid, rho: Field) -> Callable[[Field], PyTree]:
        """L at a state: a linear function from tangents to the metric space."""

    @abc.abstractmethod
    def covector(self, grid: Grid, rho: Field, phi: Field) -> PyTree:
        """b = (L^+)^T phi, in the metric space."""

    def has_covector(self, grid: Grid) -> bool:
        """Whether Y^T b is the gradient, which it is not where L projects tangents first."""
        del grid
        return True

    def inner(self, grid: Grid, rho: Field, u: Field, v: Field) -> Float[Array, ""]:
        """<u, v> at rho, of two tangents."""
        factor = self.factor(grid, rho)
        return _tree.dot(factor(u), factor(v))

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        del matrix_free
        self.state_of(objective)

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        state = self.state_of(objective)
        rho, operator = self._operator(state, model, matrix_free)
        if isinstance(objective, StateObjective) and self._gives_target(objective, state.grid):
            target = self.covector(state.grid, rho, objective.derivative(rho))
            return LeastSquaresSystem(operator, target=target)
        params, static = _tree.trainable(model)
        gradient = jax.grad(lambda q: objective.loss(eqx.combine(q, static), batch))(params)
        return LeastSquaresSystem(operator, gradient=gradient)

    def state_of(self, objective: AbstractObjective) -> AbstractState:
        """The state that this metric measures."""
        if isinstance(objective, StateObjective):
            return objective.state
        if self.state is None:
            msg = (
                f"the metric {type(self).__name__} needs a `state` to act on, and"
                f" {type(objective).__name__} has none: pass `state=PointwiseState(grid)`, the"
                " network on the points of a grid."
            )
            raise ValueError(msg)
        return self.state

    def assembly(
        self, objective: AbstractObjective, model: PyTree, *, stored: bool
    ) -> tuple[int, int, int]:
        state = self.state_of(objective)
        forward = 1 if self._gives_target(objective, state.grid) else 2  # one for the gradient
        if stored:
            return forward, *state.jacobian_solves(model)
        return forward, 0, 2 * self.admits_some

    def _gives_target(self, objective: AbstractObjective, grid: Grid) -> bool:
        of_state = isinstance(objective, StateObjective) and objective.only_of_state
        return of_state and self.has_covector(grid)

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        del model, batch
        grid = self.state_of(objective).grid
        return grid.size * (1 + len(grid.shape))  # points and edges: an upper bound

    @property
    def admits_some(self) -> bool:
        """Whether `admit` tests anything: a test costs two products with Z^T if Z is not stored."""
        return False

    def admit(
        self, grid: Grid, rho: Field, mass: Float[Array, "*slices"], size: Float[Array, "*slices"]
    ) -> Field:
        """The state; a run-time error where the metric does not admit its tangents.

        `mass` is |Z^T 1| and `size` a bound of it, the same with absolute values: one number for
        every slice of the grid, or one for a random combination of all slices. The default admits
        all tangents.
        """
        del grid, mass, size
        return rho

    def _operator(
        self, state: AbstractState, model: PyTree, matrix_free: bool
    ) -> tuple[Field, lx.AbstractLinearOperator]:
        found = eqx.filter_eval_shape(state, model)
        if jnp.issubdtype(found.dtype, jnp.complexfloating):
            msg = (
                f"the metric {type(self).__name__} measures real states, and this one is complex: "
                "take the energy metric of a `StateMisfit`, or let the state be its real and "
                "imaginary parts, two slices of a grid with one more axis."
            )
            raise ValueError(msg)
        build = self._products if matrix_free else self._rows
        return build(state, model)

    def _products(
        self, state: AbstractState, model: PyTree
    ) -> tuple[Field, lx.AbstractLinearOperator]:
        """v -> L Z v: a product takes a linearized solve, a transposed product an adjoint solve."""
        params, _ = _tree.trainable(model)
        structure = jax.eval_shape(lambda: params)
        rho, push, pull = state.linearize(model)
        if self.admits_some:
            signs = jax.random.rademacher(jax.random.key(0), rho.shape, rho.dtype)
            mass = _tree.norm(pull(_weights(state.grid, rho)))
            size = _tree.norm(pull(signs)) * rho.size**0.5  # sqrt(n) |Z|_F on average
            rho = self.admit(state.grid, rho, mass, size)
        factor = self.factor(state.grid, rho)
        back = jax.linear_transpose(factor, rho)
        return rho, ProductOperator(
            lambda v: factor(push(v)), lambda w: pull(back(w)[0]), structure
        )

    def _rows(self, state: AbstractState, model: PyTree) -> tuple[Field, lx.AbstractLinearOperator]:
        """The matrix L Z."""
        params, _ = _tree.trainable(model)
        rho, jacobian = state.jacobian(model)
        mass, size = (_per_slice(state.grid, x) for x in (jacobian, jnp.abs(jacobian)))
        factor = self.factor(state.grid, self.admit(state.grid, rho, mass, size))
        images = jax.vmap(factor)(jacobian.T.reshape(-1, *state.grid.shape))
        leaves = [leaf.reshape(jacobian.shape[1], -1).T for leaf in jax.tree.leaves(images)]
        structures = jax.eval_shape(lambda: params), jax.eval_shape(factor, rho)
        return rho, JacobianRows(jnp.concatenate(leaves), *structures)


def _per_slice(grid: Grid, jacobian: Float[Array, "n p"]) -> Float[Array, " slices"]:
    """The norm of the sum of the rows of each slice of the grid."""
    sums = jnp.sum(jacobian.reshape(*grid.shape, -1), axis=grid.coupled)
    return jnp.linalg.norm(sums.reshape(grid.slices, -1), axis=1)


def _weights(grid: Grid, rho: Field) -> Field:
    """Ones for a single slice, else a normal number for each, so that masses do not cancel."""
    if grid.slices == 1:
        return jnp.ones_like(rho)
    shape = [n if axis in grid.decoupled else 1 for axis, n in enumerate(grid.shape)]
    return jnp.broadcast_to(jax.random.normal(jax.random.key(1), shape, rho.dtype), rho.shape)
