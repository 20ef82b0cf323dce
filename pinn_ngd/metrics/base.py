"""The contract of a metric."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import PyTree

from .._settings import check_fields
from ..linalg import LeastSquaresSystem
from ..objectives import AbstractObjective


class AbstractMetric(eqx.Module):
    """A Riemannian metric on the functions that a model can represent.

    A metric returns a least-squares system whose Gram matrix A^T A is the metric pulled back to
    the parameters; nothing else distinguishes one natural gradient from another. `needs_state` says
    whether the metric measures a state; such a class has a field `state`.
    """

    needs_state: ClassVar[bool] = False

    def __check_init__(self):
        check_fields(self)

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        """Raises ValueError, in one sentence, where that objective has no `system`."""
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
        """Forward, linearized and adjoint solves that `system` takes, without that of the gradient.

        By default stored rows take one reverse sweep, which counts as one adjoint solve.
        """
        del objective, model
        return 1, 0, int(stored)

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        """Number of rows of the system, or an upper bound: the form is chosen by it."""
        right = eqx.filter_eval_shape(lambda m: objective.evaluate(m, batch).right_hand_side, model)
        return sum(leaf.size for leaf in jax.tree.leaves(right))
