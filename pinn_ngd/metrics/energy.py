"""The energy metric: the objective's own (Gauss-Newton) Hessian."""

from jaxtyping import PyTree

from ..linalg import LeastSquaresSystem
from ..objectives import AbstractObjective
from ..states import StateObjective
from .base import AbstractMetric


class EnergyMetric(AbstractMetric):
    """The second derivative of the energy in function space (Mueller and Zeinhofer, ICML 2023).

    For squared residuals it is <r'(u) v, r'(u) w>, so the natural gradient is Gauss-Newton; for a
    variational energy it is the energy's Hessian.
    """

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        kind = type(objective).__name__
        if not getattr(objective, "has_energy_metric", True):
            msg = (
                f"the objective {kind} has no energy metric of its own: take an optimizer with"
                " another metric, such as 'wngd' or 'engd-tr' with metric='l2' for a state and"
                " metric='wasserstein-kernel' for samples, or 'gd'."
            )
            raise ValueError(msg)
        if matrix_free and not getattr(objective, "has_products", True):
            msg = (
                f"the objective {kind} has no matrix-free system, which this optimizer needs: take"
                " one that stores its rows, such as 'engd-tr' or 'ngd-woodbury', without"
                " form='matrix-free'."
            )
            raise ValueError(msg)

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        return objective.system(model, batch, matrix_free=matrix_free)

    def assembly(
        self, objective: AbstractObjective, model: PyTree, *, stored: bool
    ) -> tuple[int, int, int]:
        if stored and isinstance(objective, StateObjective):
            return 1, *objective.state.jacobian_solves(model)
        return super().assembly(objective, model, stored=stored)
