"""The contract between what is minimized and the optimizers."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree, Scalar

from .. import _tree
from ..geometry.quadrature import AbstractRule
from ..linalg import LeastSquaresSystem
from .returned import real_scalar


class Evaluation(eqx.Module):
    """An objective at one model.

    `right_hand_side` is what a natural-gradient step answers to: the residual blocks b of a
    least-squares objective, or the gradient g (shaped like the parameters) of an energy.
    """

    loss: Float[Array, ""]
    right_hand_side: PyTree


class AbstractObjective(eqx.Module):
    """A scalar functional of a model, with the least-squares structure of its natural metric.

    `steps_per_batch` says how many steps the training loop makes with one batch; None leaves it to
    the optimizer. Optimizers and metrics ask three more attributes: `is_least_squares`, whether the
    loss is 1/2 |right-hand side|^2; `has_energy_metric`, whether `system` can be had; and
    `has_products`, whether it can with `matrix_free`. `curvatures` are the names that
    `with_curvature` takes, where `system` can be had with several matrices A^T A, by layers.
    """

    is_least_squares: ClassVar[bool] = False
    has_energy_metric: ClassVar[bool] = True
    has_products: ClassVar[bool] = True
    curvatures: ClassVar[tuple[str, ...]] = ()
    steps_per_batch: ClassVar[int | None] = None

    @abc.abstractmethod
    def batch(self, key: Any = None) -> PyTree:
        """Quadrature points and weights of every term, fresh ones where a rule resamples."""

    def draw(self, key: Any, number: int) -> PyTree:
        """Batch `number` of the sequence that belongs to the key; independent ones by default."""
        return self.batch(jax.random.fold_in(key, number))

    def check(self, model: PyTree, batch: PyTree) -> None:
        """Raises ValueError where data do not fit the model: asked before the first step."""
        del model, batch

    @property
    @abc.abstractmethod
    def resampled(self) -> bool:
        """Whether `batch` depends on its key."""

    @property
    def rules(self) -> tuple[AbstractRule, ...]:
        """The quadrature rule of every term; empty where the objective has no points."""
        return ()

    @property
    def term_names(self) -> tuple[str, ...]:
        """What the terms are called, in the order of `rules`."""
        return ()

    def with_rules(self, rules: Sequence[AbstractRule]) -> "AbstractObjective":
        """The same objective on other points, a rule for every term."""
        del rules
        raise NotImplementedError(f"{type(self).__name__} has no points to exchange.")

    def with_curvature(self, name: str) -> "AbstractObjective":
        """The same objective with another matrix A^T A, one of `curvatures`."""
        raise NotImplementedError(f"{type(self).__name__} has no curvature '{name}'.")

    def point_losses(self, model: PyTree, batch: PyTree) -> tuple[Float[Array, " n"], ...]:
        """What every point adds to the loss, one array for every term."""
        raise NotImplementedError(f"{type(self).__name__} has no points to sum over.")

    def equation_losses(self, model: PyTree, batch: PyTree) -> dict[str, Float[Array, ""]]:
        """What every equation that has a name of its own adds to the loss; empty without names."""
        del model, batch
        return {}

    @abc.abstractmethod
    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        """Loss and right-hand side at one model."""

    @abc.abstractmethod
    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        """The undamped linear system of the natural-gradient step at one model."""

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """loss(theta) - loss(theta - step); objectives that can avoid its cancellation do."""
        del step
        return before.loss - after.loss

    def loss(self, model: PyTree, batch: PyTree) -> Scalar:
        """The loss at one model."""
        return self.evaluate(model, batch).loss


def with_gradient(loss: Callable[[PyTree], Scalar], model: PyTree) -> Evaluation:
    """A loss of the model and its gradient, shaped like the parameters.

    Raises ValueError where the loss is not one real number.
    """
    params, static = _tree.trainable(model)

    def of_parameters(q: PyTree) -> Scalar:
        return real_scalar(loss(eqx.combine(q, static)), "the functional of the objective")

    return Evaluation(*jax.value_and_grad(of_parameters)(params))


def distinct_names(names: tuple[str, ...]) -> list[str]:
    """The names, numbered where two terms are called the same."""
    return [
        name if names.count(name) == 1 else f"{name} {names[:i].count(name) + 1}"
        for i, name in enumerate(names)
    ]
