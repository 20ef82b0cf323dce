"""The Euclidean metric of the parameters: plain gradient descent."""

import equinox as eqx
import jax
import lineax as lx
from jaxtyping import PyTree

from .. import _tree
from ..linalg import LeastSquaresSystem
from ..objectives import AbstractObjective
from .base import AbstractMetric


class Euclidean(AbstractMetric):
    """A = identity: the natural gradient is the gradient."""

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        del matrix_free
        params, static = _tree.trainable(model)
        gradient = jax.grad(lambda q: objective.loss(eqx.combine(q, static), batch))(params)
        operator = lx.IdentityLinearOperator(jax.eval_shape(lambda: params))
        return LeastSquaresSystem(operator, gradient=gradient)

    def assembly(
        self, objective: AbstractObjective, model: PyTree, *, stored: bool
    ) -> tuple[int, int, int]:
        del objective, model, stored
        return 1, 0, 0
