"""An estimate of any metric by a few random adjoint solves."""

import equinox as eqx
import jax
from jaxtyping import PyTree

from .._settings import Count
from ..linalg import LeastSquaresSystem, sketch
from ..objectives import AbstractObjective
from .base import AbstractMetric


class Sketched(AbstractMetric):
    """Hutchinson's estimate of a metric from `samples` adjoint solves (`linalg.sketch`).

    It is meant for states whose Jacobian is expensive in both directions, with few parameters or a
    damping. All steps use the same random directions, drawn from `seed`, so that the metric is a
    fixed function of the parameters. Raises ValueError for fewer than one sample.
    """

    metric: AbstractMetric
    samples: Count = eqx.field(static=True)
    seed: int = eqx.field(static=True, default=0)

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        del matrix_free
        self.metric.check(objective, matrix_free=True)

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        del matrix_free
        whole = self.metric.system(objective, model, batch, matrix_free=True)
        return sketch(whole, self.samples, jax.random.key(self.seed))

    def assembly(
        self, objective: AbstractObjective, model: PyTree, *, stored: bool
    ) -> tuple[int, int, int]:
        del stored
        forward, linearized, adjoint = self.metric.assembly(objective, model, stored=False)
        return forward, linearized, adjoint + self.samples

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        del objective, model, batch
        return self.samples
