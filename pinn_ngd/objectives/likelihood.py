"""Maximum likelihood: the densities of values under a member of an exponential family."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from ..families import Distribution, check_values
from ..linalg import LeastSquaresSystem, SquareRoot
from .base import AbstractObjective, Evaluation, with_gradient
from .batches import AbstractBatches, Batch, Shuffled


class LikelihoodObjective(AbstractObjective):
    """-1/n sum_i log p(x_i) over minibatches of values, for a `families.Distribution`.

    `data` are values along a leading axis (an array, or a PyTree of arrays for a family of several
    variables), in batches of `size` (all of them where it is None), or any source of batches whose
    inputs are values. The Hessian in natural coordinates is the Fisher matrix whatever the data
    are, so that `system` is Newton's method: A^T A = d eta / d theta.
    """

    batches: AbstractBatches
    steps_per_batch: ClassVar[int | None] = 1

    def __init__(self, data: AbstractBatches | PyTree[Any], size: int | None = None):
        if isinstance(data, AbstractBatches):
            self.batches = data
        else:
            values = (
                jnp.asarray(data) if isinstance(data, list) else jax.tree.map(jnp.asarray, data)
            )
            leaves = jax.tree.leaves(values)
            count = leaves[0].shape[0] if leaves and leaves[0].ndim else 0
            self.batches = Shuffled(values, jnp.zeros(count, jnp.int32), size)

    @property
    def resampled(self) -> bool:
        return not getattr(self.batches, "whole", False)

    def batch(self, key: Any = None) -> Batch:
        return self.draw(jax.random.key(0) if key is None else key, 0)

    def draw(self, key: Any, number: int) -> Batch:
        """Minibatch `number` of the sequence that belongs to the key."""
        return self.batches.draw(key, number)

    def check(self, model: PyTree, batch: Batch) -> None:
        """Raises ValueError for another model, and for values that cannot occur in its family.

        All values are looked at where they are known beforehand, else those of the batch.
        """
        _check_kind(model)
        values = self.batches.inputs if isinstance(self.batches, Shuffled) else batch.inputs
        check_values(model.family, values)

    def evaluate(self, model: PyTree, batch: Batch) -> Evaluation:
        return with_gradient(lambda m: self.loss(m, batch), model)

    def loss(self, model: PyTree, batch: Batch) -> Scalar:
        return -jnp.mean(jax.vmap(model)(batch.inputs))

    def system(
        self, model: PyTree, batch: Batch, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        del matrix_free
        _check_kind(model)
        gradient = self.evaluate(model, batch).right_hand_side
        return LeastSquaresSystem(SquareRoot(model.fisher()), gradient=gradient)


def _check_kind(model: PyTree) -> None:
    if not isinstance(model, Distribution):
        msg = (
            f"a LikelihoodObjective trains a `families.Distribution`, and the model is a"
            f" {type(model).__name__}: give `Distribution.standard(family)`."
        )
        raise ValueError(msg)
