"""The evidence lower bound of a Gaussian process model as an objective of this package."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Scalar

from ...linalg import LeastSquaresSystem
from ...objectives import AbstractBatches, AbstractObjective, Batch, Evaluation, Shuffled
from ...objectives.base import with_gradient
from .model import GPModel


class EvidenceLowerBound(AbstractObjective):
    """-ELBO = KL(q | prior) - (N / n) sum_i E_q[log p(y_i | f(x_i))] over batches of n of N data.

    The loss is an upper bound of -log p(y), in nats. `batches` are `Shuffled(inputs, targets,
    size)` with inputs (N, d); without a size every step takes all data. `examples` is N where
    batches come from a function. It has no least-squares system: `ngd-gp` takes natural gradients,
    and optimizers that need nothing but gradients train it too.

    Raises ValueError where N is not known, or is said to be another number than that of the data.
    """

    has_energy_metric: ClassVar[bool] = False
    batches: AbstractBatches
    examples: int = eqx.field(static=True)

    def __init__(self, batches: AbstractBatches, *, examples: int | None = None):
        if examples is None and not isinstance(batches, Shuffled):
            raise ValueError(
                "`examples` is None, but batches that come from a function do not tell how many "
                "data there are: give their number."
            )
        known = isinstance(batches, Shuffled)
        self.batches = batches
        self.examples = batches.targets.shape[0] if known else int(examples or 0)
        if examples not in (None, self.examples):
            raise ValueError(
                f"`examples` is {examples}, but the batches come from {self.examples} data: leave "
                "it out."
            )

    @property
    def resampled(self) -> bool:
        return not getattr(self.batches, "whole", False)

    @property
    def steps_per_batch(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 1 if self.resampled else None

    def batch(self, key: Any = None) -> Batch:
        return self.draw(jax.random.key(0) if key is None else key, 0)

    def draw(self, key: Any, number: int) -> Batch:
        """Minibatch `number` of the sequence that belongs to the key."""
        return self.batches.draw(key, number)

    def check(self, model: PyTree, batch: Batch) -> None:
        """Raises ValueError for a model that is none of Gaussian processes, for data that do not
        fit it, and for a kernel matrix without a Cholesky factor."""
        if not isinstance(model, GPModel):
            raise ValueError(
                f"`model` is a {type(model).__name__}; an evidence lower bound needs a "
                "`applications.gp.GPModel`."
            )
        targets = self.batches.known_targets(batch)
        check_data(batch.inputs, targets)
        if isinstance(self.batches, Shuffled):  # all data, of which the batch is a part
            check_data(self.batches.inputs, targets)
        model.likelihood.check(np.asarray(targets))
        for process in model.processes:
            process.check(batch.inputs)

    def loss(self, model: GPModel, batch: Batch) -> Scalar:
        densities = model.expected_log_densities(batch.inputs, batch.targets)
        share = self.examples / batch.size
        return model.divergence() - share * jnp.sum(densities)

    def evaluate(self, model: GPModel, batch: Batch) -> Evaluation:
        return with_gradient(lambda m: self.loss(m, batch), model)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        del model, batch, matrix_free
        raise ValueError(
            "an evidence lower bound has no least-squares system: choose the optimizer 'ngd-gp', "
            "or one that needs nothing but gradients, such as 'adam'."
        )


def check_data(inputs: Array, targets: Array) -> None:
    """ValueError for data that are no arrays (n, d) and (n,) of finite numbers."""
    array, values = np.asarray(inputs), np.asarray(targets)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"`targets` have the shape {values.shape}; give one finite number for each input."
        )
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(
            f"`inputs` have the shape {array.shape}; give finite points (n, d), x[:, None] for one "
            "coordinate."
        )
