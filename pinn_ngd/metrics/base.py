"""The contract of a metric."""

import abc

import equinox as eqx
import jax
from jaxtyping import PyTree

from .._settings import check_fields
from ..linalg import LeastSquaresSystem
from ..objectives import AbstractObjective


class AbstractMetric(eqx.Module):
    """A Riemannian metric on the functions that a model can represent.

    It answers with a least-squares system whose Gram matrix A^T A is the metric pulled back to
    the parameters; nothing else distinguishes one natural gradient from another.
    """

    def __check_init__(self):
        check_fields(self)

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        """Raises ValueError, in one sentence, where `system` cannot be had for that objective."""
        del objective, matrix_free

    @abc.abstractmethod
    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        """The undamped system at one model."""

    def assembly(
        self, objective: AbstractObjective, model: PyTree, *, stored: bool
    ) -> tuple[int, int, int]:
        """Forward, linearized and adjoint solves that `system` takes, the gradient's adjoint aside.

        Here stored rows are one reverse sweep.
        """
        del objective, model
        return 1, 0, int(stored)

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        """Number of rows of the system, or a bound: what the choice of its form goes by."""
        right = eqx.filter_eval_shape(lambda m: objective.evaluate(m, batch).right_hand_side, model)
        return sum(leaf.size for leaf in jax.tree.leaves(right))
