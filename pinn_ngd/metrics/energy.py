"""The energy metric: the objective's own (Gauss-Newton) Hessian."""

from jaxtyping import PyTree

from ..linalg import LeastSquaresSystem
from ..objectives import AbstractObjective, StateObjective
from .base import AbstractMetric


class EnergyMetric(AbstractMetric):
    """The second derivative of the energy in function space (Mueller and Zeinhofer, ICML 2023).

    For squared residuals it is <r'(u) v, r'(u) w>, so the natural gradient is Gauss-Newton; for a
    variational energy it is the energy's Hessian.
    """

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        return objective.system(model, batch, matrix_free=matrix_free)

    def row_solves(self, objective: AbstractObjective, model: PyTree) -> tuple[int, int]:
        if isinstance(objective, StateObjective):
            return objective.state.jacobian_solves(model)
        return super().row_solves(objective, model)
