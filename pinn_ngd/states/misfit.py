"""Least-squares misfits of a state, with a penalty on the parameters where data leave them open."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar

from .. import _tree
from ..linalg import JacobianRows, LeastSquaresSystem, ProductOperator, StackedOperator
from ..objectives.base import Evaluation
from ..objectives.returned import real
from .penalty import AbstractPenalty
from .state import Field, StateObjective


class StateMisfit(StateObjective):
    """1/2 |r(rho(theta))|^2, where `functional` returns the residual r, and a `penalty` if any.

    The residual is an array of any shape. Where it is complex, its real and imaginary parts are
    stacked along the first axis: the loss is the sum of |r|^2 all the same.

    Its energy metric is Gauss-Newton: that of r(rho) = (rho - data) sqrt(cell volume) is the L2
    natural gradient. Leave the volume out, and the L2 step is Gauss-Newton's divided by it.
    The penalty acts on the parameters, and its rows are stacked below those of the misfit; a state
    metric then takes the gradient of the whole.
    """

    is_least_squares: ClassVar[bool] = True
    has_energy_metric: ClassVar[bool] = True
    penalty: AbstractPenalty | None = None

    @property
    def only_of_state(self) -> bool:
        return self.penalty is None

    def value(self, rho: Field) -> Scalar:
        return 0.5 * jnp.sum(self.residual(rho) ** 2)

    def residual(self, rho: Field) -> Array:
        """The real residual at a state. Raises ValueError for truth values and integers."""
        values = jnp.asarray(self.functional(rho))
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            msg = (
                f"`functional` returns {values.dtype} numbers, which have no derivative: return "
                "the residual as floating-point numbers."
            )
            raise ValueError(msg)
        return real(values)

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        del batch
        residual = self.residual(self.state(model))
        loss = 0.5 * jnp.sum(residual**2)
        if self.penalty is None:
            return Evaluation(loss, residual)
        both = (residual, self.penalty.residual(model))
        return Evaluation(loss + self.penalty.value(model), both)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        del batch
        misfit = self._products(model) if matrix_free else self._rows(model)
        if self.penalty is None:
            return misfit
        params, static = _tree.trainable(model)
        penalty = self.penalty

        def residual(q: PyTree) -> Array:
            return penalty.residual(eqx.combine(q, static))

        value, push = jax.linearize(residual, params)
        pull = jax.linear_transpose(push, params)
        below = ProductOperator(push, lambda w: pull(w)[0], jax.eval_shape(lambda: params))
        operator = StackedOperator((misfit.operator, below))
        if not matrix_free:
            structures = operator.in_structure(), operator.out_structure()
            operator = JacobianRows(operator.as_matrix(), *structures)
        return LeastSquaresSystem(operator, target=(misfit.target, value))

    def _rows(self, model: PyTree) -> LeastSquaresSystem:
        params, _ = _tree.trainable(model)
        rho, jacobian = self.state.jacobian(model)
        residual, push = jax.linearize(self.residual, rho)
        columns = jacobian.T.reshape(-1, *self.state.grid.shape)
        rows = jax.vmap(push)(columns).reshape(columns.shape[0], -1).T
        structures = jax.eval_shape(lambda: params), jax.eval_shape(lambda: residual)
        return LeastSquaresSystem(JacobianRows(rows, *structures), target=residual)

    def _products(self, model: PyTree) -> LeastSquaresSystem:
        params, _ = _tree.trainable(model)
        structure = jax.eval_shape(lambda: params)
        rho, push, pull = self.state.linearize(model)
        residual, seen = jax.linearize(self.residual, rho)
        back = jax.linear_transpose(seen, rho)
        operator = ProductOperator(lambda v: seen(push(v)), lambda w: pull(back(w)[0]), structure)
        return LeastSquaresSystem(operator, target=residual)

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        if self.penalty is not None:  # whose value is not half the square of its residual
            return super().reduction(before, after, step)
        b0, b1 = before.right_hand_side, after.right_hand_side
        return 0.5 * jnp.sum((b0 - b1) * (b0 + b1))
