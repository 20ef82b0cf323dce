"""Methods to compute the natural-gradient direction d = (A^T A + damping)^-1 g of a minibatch."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count, check_fields
from ...linalg import CG, Form, LeastSquaresSystem, dual_gram, solve
from ...linalg.system_solver import system_solver
from ..forms import gradient_of


class AbstractDirection(eqx.Module):
    """A pure function from a damped system, a state and a key to a direction and the next state.

    `matrix_free` says whether it needs nothing but products with A, so that A is never stored.
    """

    matrix_free: ClassVar[bool] = False

    def __check_init__(self):
        check_fields(self)

    @abc.abstractmethod
    def init(self, system: LeastSquaresSystem) -> PyTree:
        """The state before the first step, for systems like this one."""

    @abc.abstractmethod
    def __call__(
        self, system: LeastSquaresSystem, state: PyTree, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        """The direction d, shaped like the parameters, and the new state."""


class Exact(AbstractDirection):
    """The direction d by a linear `solver`; `form` is that of `pinn_ngd.linalg.solve`."""

    solver: lx.AbstractLinearSolver
    form: Form = eqx.field(static=True, default="auto")

    def init(self, system: LeastSquaresSystem) -> tuple[()]:
        """Nothing; ValueError where the solver cannot solve such a system."""
        whole = system_solver(self.solver)
        if whole is not None:
            whole.check_system(system)
        return ()

    def __call__(
        self, system: LeastSquaresSystem, state: PyTree, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        del key
        return solve(system, self.solver, form=self.form).value, state


class ConjugateGradients(AbstractDirection):
    """A fixed number of conjugate-gradient iterations, started at the previous direction.

    The state is that direction. An iteration takes two derivatives of the model, and no row of A is
    stored.
    """

    iterations: Count = eqx.field(static=True, default=10)
    matrix_free: ClassVar[bool] = True

    def init(self, system: LeastSquaresSystem) -> PyTree:
        return _tree.zeros_like(gradient_of(system))

    def __call__(
        self, system: LeastSquaresSystem, state: PyTree, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        del key
        gradient, damping = gradient_of(system), system.damping
        # CG started at y is y plus CG, started at zero, on the residual.
        curved = system.operator.T.mv(system.operator.mv(state))
        residual = _tree.subtract(_tree.subtract(gradient, curved), _tree.scale(damping, state))
        remaining = LeastSquaresSystem(system.operator, gradient=residual, damping=damping)
        solver = CG(rtol=0.0, atol=0.0, max_steps=self.iterations)
        direction = _tree.add(state, solve(remaining, solver, form="primal").value)
        return direction, direction


class Filtered(AbstractDirection):
    """d = f(A^T A + damping) g for a scalar function f, by the eigenvectors of A A^T.

    With A A^T = W diag(s) W^T,
    d = f(damping) g + A^T W diag((f(s + damping) - f(damping)) / s) W^T A g.
    `filter` maps eigenvalues, an array, to gains. It costs one symmetric eigenproblem of as many
    rows as A.
    """

    filter: Callable[[Array], Array] = eqx.field(static=True)

    def init(self, system: LeastSquaresSystem) -> tuple[()]:
        del system
        return ()

    def __call__(
        self, system: LeastSquaresSystem, state: PyTree, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        del key
        operator, gradient = system.operator, gradient_of(system)
        s, w = jnp.linalg.eigh(dual_gram(operator).as_matrix())
        projected, unravel = ravel_pytree(operator.mv(gradient))
        eps = jnp.finfo(s.dtype).eps * s.shape[0] * s[-1]
        flat = self.filter(system.damping)
        gains = jnp.where(s > eps, (self.filter(s + system.damping) - flat) / s, 0)
        weights = w @ (gains * (w.T @ projected))
        correction = operator.T.mv(unravel(weights))
        return _tree.add(_tree.scale(flat, gradient), correction), state


def clipped(a: Array) -> Any:
    """The gain min(1, 1/a): Newton on modes of large curvature, gradient descent on the others."""
    return 1 / jnp.maximum(a, 1)
