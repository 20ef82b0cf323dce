"""The Fisher metric of an exponential family: the Jacobian of its map of coordinates."""

import equinox as eqx
import jax
from jaxtyping import PyTree

from .. import _tree
from ..families import Distribution
from ..linalg import LeastSquaresSystem, SquareRoot
from ..objectives import AbstractObjective
from .base import AbstractMetric

LEFT = (
    "the natural coordinates at which the metric is measured, its base point, have left the cone of"
    " their family, where no density has them: take a smaller rate, center and scale the features,"
    " or measure the metric elsewhere, as 'dsngd' does."
)


class DuallyFlat(AbstractMetric):
    """A^T A = F, the Fisher matrix of the model's family in natural coordinates.

    F = d eta / d theta, whose inverse is d theta / d eta: `linalg.InverseJacobian` solves by one
    Jacobian-vector product, linear in the number of parameters for the families of this package.
    Of a `GenerativeClassifier` it is the Fisher matrix of the joint p(x, y), not that of p(y | x),
    which has no such inverse (Sanchez-Lopez and Cerquides 2020).

    `system` raises ValueError for a model that is no `families.Distribution`; a step at coordinates
    outside of the family's cone is refused.
    """

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        del matrix_free
        model = checked_distribution(model)
        gradient = _gradient(objective, model, batch)
        if model.family.has_cone:
            natural = eqx.error_if(model.natural, ~model.contained(), LEFT)
            model = eqx.tree_at(lambda m: m.natural, model, natural)
        return LeastSquaresSystem(SquareRoot(model.fisher()), gradient=gradient)

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        del objective, batch
        return _tree.size(model)


@eqx.filter_jit  # `init` asks for it outside of a compiled step
def _gradient(objective: AbstractObjective, model: Distribution, batch: PyTree) -> PyTree:
    params, static = _tree.trainable(model)
    return jax.grad(lambda q: objective.loss(eqx.combine(q, static), batch))(params)


def checked_distribution(model: PyTree) -> Distribution:
    """The model; ValueError where it is no `families.Distribution`."""
    if isinstance(model, Distribution):
        return model
    msg = (
        f"the model is a {type(model).__name__}, which has no natural coordinates: the metric of an"
        " exponential family, and the optimizers 'sngd', 'megd', 'csngd' and 'dsngd', need a"
        " `families.Distribution` or `GenerativeClassifier`."
    )
    raise ValueError(msg)
