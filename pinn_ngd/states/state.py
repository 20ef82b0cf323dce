"""Functionals of a state: f(rho(theta)), the state being a field on a grid.

A state metric (`pinn_ngd.metrics`) measures how the state moves; the functional only says how good
it is (Nurbekyan, Lei and Yang, SIAM J. Sci. Comput. 2023).
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Inexact, PyTree, Scalar

from .. import _tree
from ..geometry.grids import Grid
from ..linalg import LeastSquaresSystem
from ..objectives.base import AbstractObjective, Evaluation, with_gradient
from ..objectives.returned import real
from ..objectives.rows import map_points, point_row

Field = Inexact[Array, "..."]


class AbstractState(eqx.Module):
    """theta -> rho(theta), an array of the shape of `grid`.

    It may be complex for a `StateMisfit`, but for an `ImplicitState`; state metrics want real ones.
    `parts` is how many parts of it, such as shots, several devices may share: those that hold it
    compute it within `jax.set_mesh`. It is 0 where they share none.
    """

    grid: eqx.AbstractVar[Grid]

    @property
    def parts(self) -> int:
        return 0

    @abc.abstractmethod
    def __call__(self, model: PyTree) -> Field:
        """The state of a model."""

    def jacobian(self, model: PyTree) -> tuple[Field, Inexact[Array, "n p"]]:
        """rho and Z = d rho / d theta; columns are the tangents, by forward mode where p <= n."""
        fn, params = _of_parameters(self, model)
        flat, unravel = ravel_pytree(params)
        if self._is_tall(model):
            rho, push = jax.linearize(lambda q: fn(unravel(q)), flat)
            tangents = jax.vmap(push)(jnp.eye(flat.size, dtype=flat.dtype))
            return rho, tangents.reshape(flat.size, -1).T
        rho, pull = jax.vjp(lambda q: fn(unravel(q)), flat)
        basis = jnp.eye(rho.size, dtype=rho.dtype).reshape(-1, *rho.shape)
        rows = jax.vmap(pull)(basis)[0]
        if jnp.iscomplexobj(rho):  # of real parameters a reverse sweep returns the real part
            rows = jax.lax.complex(rows, jax.vmap(pull)(-1j * basis)[0])
        return rho, rows

    def jacobian_solves(self, model: PyTree) -> tuple[int, int]:
        """How many linearized and adjoint solves `jacobian` takes: one a column, or one a row."""
        return (_tree.size(model), 0) if self._is_tall(model) else (0, self.grid.size)

    def _is_tall(self, model: PyTree) -> bool:
        return _tree.size(model) <= self.grid.size

    def linearize(
        self, model: PyTree
    ) -> tuple[Field, Callable[[PyTree], Field], Callable[[Field], PyTree]]:
        """rho(theta), v -> Z v and w -> Z^T w, without Z."""
        fn, params = _of_parameters(self, model)
        rho, push = jax.linearize(fn, params)
        pull = jax.linear_transpose(push, params)
        return rho, push, lambda w: pull(w)[0]


class ExplicitState(AbstractState):
    """The state is `fn(model)`, any differentiable function that returns an array of grid.shape."""

    grid: Grid
    fn: Callable[[PyTree], Field]

    def __call__(self, model: PyTree) -> Field:
        return _shaped(self.fn(model), self.grid)


class PointwiseState(AbstractState):
    """The state is fn(model, x) in every point of the grid: by default the network itself.

    One reverse sweep a point gives the rows of the Jacobian.
    """

    grid: Grid
    fn: Callable[[Callable, Array], Array] = lambda u, x: u(x)
    chunk_size: int | None = eqx.field(static=True, default=512)

    def __call__(self, model: PyTree) -> Field:
        values = map_points(lambda x: self.fn(model, x), self.grid.points, self.chunk_size)
        return _shaped(values, self.grid)

    def jacobian(self, model: PyTree) -> tuple[Field, Inexact[Array, "n p"]]:
        params, static = _tree.trainable(model)

        def value(q: PyTree, x: Array) -> tuple[Array, None]:
            return real(jnp.reshape(self.fn(eqx.combine(q, static), x), ())), None

        def row(x: Array) -> tuple[Array, Array]:
            return point_row(value, params, x)[:2]

        rho, rows = map_points(row, self.grid.points, self.chunk_size)
        if rho.ndim == 2:  # real and imaginary parts
            rho, rows = (jax.lax.complex(x[:, 0], x[:, 1]) for x in (rho, rows))
        return _shaped(rho, self.grid), rows

    def jacobian_solves(self, model: PyTree) -> tuple[int, int]:
        del model
        return 0, 1  # a sweep a point: together one over all points


class ImplicitState(AbstractState):
    """The state solves `residual(rho, model) = 0`; only the equation is differentiated.

    `solve(model)` finds rho by whatever means, which need not be differentiable. The tangents are
    Z v = -h_rho^-1 h_theta v and cotangents Z^T w = -h_theta^T h_rho^-T w: one linearized or
    adjoint solve each, by implicit differentiation. Without `inverses` the matrix h_rho is
    formed and factored by LU, for a few thousand unknowns. `inverses(model, rho)` returns two
    functions instead, b -> h_rho^-1 b and b -> h_rho^-T b.

    A singular linearized operator is a run-time error.
    """

    grid: Grid
    residual: Callable[[Field, PyTree], Field]
    solve: Callable[[PyTree], Field]
    inverses: Callable[[PyTree, Field], tuple[Callable, Callable]] | None = None

    def __call__(self, model: PyTree) -> Field:
        params, static = _tree.trainable(model)
        fixed = eqx.combine(jax.lax.stop_gradient(params), static)

        def equation(rho: Field) -> Field:
            return self.residual(rho, model)

        def tangent_solve(linearized: Callable, right: Field) -> Field:
            primal, adjoint = self._solvers(fixed, rho)
            return jax.lax.custom_linear_solve(
                linearized,
                right,
                solve=lambda _, b: _sound(primal(b)),
                transpose_solve=lambda _, b: _sound(adjoint(b)),
            )

        rho = jax.lax.stop_gradient(_shaped(self.solve(fixed), self.grid))
        if jnp.iscomplexobj(rho):
            msg = (
                "the state that `solve` returns is complex, which implicit differentiation does "
                "not take: state the equation for its real and imaginary parts, two slices of a "
                "grid with one more axis."
            )
            raise ValueError(msg)
        return jax.lax.custom_root(equation, rho, lambda _, start: start, tangent_solve)

    def _solvers(self, model: PyTree, rho: Field) -> tuple[Callable, Callable]:
        if self.inverses is not None:
            return self.inverses(model, rho)
        matrix = jax.jacfwd(lambda r: self.residual(r, model))(rho)
        factor = jax.scipy.linalg.lu_factor(matrix.reshape(rho.size, rho.size))

        def solver(transposed: int) -> Callable:
            return lambda b: jax.scipy.linalg.lu_solve(
                factor, b.reshape(-1), trans=transposed
            ).reshape(rho.shape)

        return solver(0), solver(1)


class StateObjective(AbstractObjective):
    """f(rho(theta)) with a scalar functional f of the state."""

    has_energy_metric: ClassVar[bool] = False
    state: AbstractState
    functional: Callable[[Field], Scalar]

    @property
    def resampled(self) -> bool:
        return False

    def batch(self, key: Any = None) -> tuple[()]:
        del key
        return ()

    @property
    def only_of_state(self) -> bool:
        """Whether the loss depends on the parameters through the state only."""
        return True

    def value(self, rho: Field) -> Scalar:
        """The functional at a state."""
        return self.functional(rho)

    def derivative(self, rho: Field) -> Field:
        """phi = df/drho, of the shape of the state."""
        return jax.grad(self.value)(rho)

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        del batch
        return with_gradient(lambda m: self.value(self.state(m)), model)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        del model, batch, matrix_free
        msg = (
            "a functional of a state has no energy metric of its own: choose a state metric, such"
            " as `metric='l2'` or 'wasserstein', or state a `StateMisfit`, which has Gauss-Newton."
        )
        raise ValueError(msg)


def _sound(tangent: Field) -> Field:
    return eqx.error_if(
        tangent,
        ~jnp.all(jnp.isfinite(tangent)),
        "a linearized solve of the state equation is not finite: its operator is singular, or the"
        " state is. Is the state determined by the parameters (boundary conditions, a fixed mass)?",
    )


def _of_parameters(state: AbstractState, model: PyTree) -> tuple[Callable, PyTree]:
    params, static = _tree.trainable(model)
    return lambda q: state(eqx.combine(q, static)), params


def _shaped(rho: Array, grid: Grid) -> Field:
    rho = jnp.asarray(rho)
    if rho.size != grid.size:
        msg = f"the state has shape {rho.shape}, but its grid {grid.shape}: they must agree."
        raise ValueError(msg)
    return rho.reshape(grid.shape)
