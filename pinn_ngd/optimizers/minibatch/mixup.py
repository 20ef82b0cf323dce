"""Running mixup: each batch is mixed with the mixture of the batches before it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ...objectives import AbstractObjective
from ...objectives.batches import Batch
from ...objectives.losses import (
    AbstractLoss,
    BinaryCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
)

_OF_NUMBERS = (SoftmaxCrossEntropy, BinaryCrossEntropy, SquaredError)


class Mixture(eqx.Module):
    """The last mixture: inputs, and targets as numbers that can be mixed."""

    inputs: PyTree[Array]
    targets: Array


def soft(objective: AbstractObjective, batch: Batch, outputs: int, dtype: jnp.dtype) -> Mixture:
    """A batch whose labels (n,) are rows of probabilities, and whose numbers are floats.

    Targets of the softmax loss with more axes are such rows already, as integers too.
    """
    targets = batch.targets
    if isinstance(_loss(objective), SoftmaxCrossEntropy) and targets.ndim == 1:
        targets = jax.nn.one_hot(targets, outputs, dtype=dtype)
    return Mixture(batch.inputs, targets.astype(dtype))


def mixed(
    batch: Mixture, before: Mixture, count: Int[Array, ""], alpha: float, key: PRNGKeyArray
) -> Mixture:
    """w * batch + (1 - w) * before, w drawn from Beta(alpha, alpha).

    `count` says how many mixtures were kept before: where there was none, the batch stays.
    Because `before` is a mixture itself, all earlier batches come in, with falling weights (running
    mixup, Osawa et al., arXiv:2002.06015; mixup: Zhang et al., ICLR 2018).
    """
    dtype = batch.targets.dtype
    drawn = jax.random.beta(key, alpha, alpha, dtype=dtype)
    weight = jnp.where(count == 0, jnp.ones_like(drawn), drawn)

    def mix(new: Array, old: Array) -> Array:
        w = weight.astype(new.dtype)
        return w * new + (1 - w) * old

    return jax.tree.map(mix, batch, before)


def check_inputs(batch: Batch) -> None:
    """Raises ValueError for inputs that are no numbers to mix, such as tokens."""
    for leaf in jax.tree.leaves(batch.inputs):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            msg = (
                f"`mixup` mixes the inputs of examples, and these are {leaf.dtype}: set mixup=0, or"
                " give floating-point inputs."
            )
            raise ValueError(msg)


def check_targets(objective: AbstractObjective, batch: Batch) -> None:
    """Raises ValueError for targets that have no mean, or whose mean is not known to be a target:
    complex ones, and integers of a loss of the user's own, which may be labels."""
    dtype, loss = batch.targets.dtype, _loss(objective)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        msg = (
            f"`mixup` mixes real targets, and these are {dtype}: set mixup=0, or give real and"
            " imaginary parts side by side, as the outputs of a real model."
        )
        raise ValueError(msg)
    if not jnp.issubdtype(dtype, jnp.floating) and not isinstance(loss, _OF_NUMBERS):
        msg = (
            f"`mixup` does not know whether targets of type {dtype} of the loss"
            f" {type(loss).__name__} are labels or numbers: set mixup=0, or give floating-point"
            " targets that can be mixed."
        )
        raise ValueError(msg)


def _loss(objective: AbstractObjective) -> AbstractLoss | None:
    return getattr(objective, "loss_function", None)
