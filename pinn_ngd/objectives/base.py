"""The contract between what is minimized and the optimizers."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree, Scalar

from ..linalg import LeastSquaresSystem


class Evaluation(eqx.Module):
    """An objective at one model.

    `right_hand_side` is what a natural-gradient step answers to: the residual blocks b of a
    least-squares objective, or the gradient g (shaped like the parameters) of an energy.
    """

    loss: Float[Array, ""]
    right_hand_side: PyTree


class AbstractObjective(eqx.Module):
    """A scalar functional of a model, with the least-squares structure of its natural metric."""

    @abc.abstractmethod
    def batch(self, key: Any = None) -> PyTree:
        """Quadrature points and weights of every term, fresh ones where a rule resamples."""

    @property
    @abc.abstractmethod
    def resampled(self) -> bool:
        """Whether `batch` depends on its key."""

    @abc.abstractmethod
    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        """Loss and right-hand side at one model."""

    @abc.abstractmethod
    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        """The undamped linear system of the natural-gradient step at one model."""

    @abc.abstractmethod
    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """loss(theta) - loss(theta - step), computed to survive cancellation."""

    def loss(self, model: PyTree, batch: PyTree) -> Scalar:
        """The loss at one model."""
        return self.evaluate(model, batch).loss
