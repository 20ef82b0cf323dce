"""How well a classifier does on unseen examples: accuracy, likelihood, calibration."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Scalar

CHUNK = 1000  # examples at once
BINS = 15


def classifier_scores(
    inputs: PyTree[Any], labels: Any, *, prefix: str = "test_"
) -> Callable[[PyTree], dict[str, float]]:
    """A function model -> {"test_accuracy", "test_error", "test_nll", "test_ece"}, compiled once.

    `model` maps one example to logits (k,); `labels` (n,) are integers 0..k-1. The negative
    log-likelihood is the mean over the examples, in nats; the calibration error is
    `calibration_error` of the largest probability, with 15 bins. Raises ValueError without
    examples, where the lengths differ, and for labels that the model has no output for.
    """
    inputs, labels = jax.tree.map(jnp.asarray, inputs), jnp.asarray(labels)
    n = labels.shape[0] if labels.ndim else 0
    if n == 0 or any(leaf.shape[0] != n for leaf in jax.tree.leaves(inputs)):
        msg = f"`labels` are {n}; give as many as `inputs`, and at least one."
        raise ValueError(msg)
    low, high = int(jnp.min(labels)), int(jnp.max(labels))

    def scores(model: PyTree) -> dict[str, float]:
        logits = logits_of(model, inputs)
        if low < 0 or high >= logits.shape[1]:
            msg = (
                f"`labels` run from {low} to {high}, but the model has {logits.shape[1]} outputs:"
                " they must be among them."
            )
            raise ValueError(msg)
        right, nll, ece = _scores(logits, labels)
        accuracy, error = int(right) / n, (n - int(right)) / n
        values = {"accuracy": accuracy, "error": error, "nll": float(nll), "ece": float(ece)}
        return {prefix + name: value for name, value in values.items()}

    return scores


def learning_scores(
    inputs: PyTree[Any], labels: Any, test_inputs: PyTree[Any], test_labels: Any
) -> Callable[[PyTree], dict[str, float]]:
    """`classifier_scores` of the test examples, and of as many training ones as "train_...".

    The training examples are spread evenly over all of them, and always the same.
    """
    count = min(len(labels), len(test_labels))
    some = np.linspace(0, len(labels) - 1, count).astype(int)
    chosen = jax.tree.map(lambda x: np.asarray(x)[some], inputs)
    seen = classifier_scores(chosen, np.asarray(labels)[some], prefix="train_")
    unseen = classifier_scores(test_inputs, test_labels)
    return lambda model: {**seen(model), **unseen(model)}


def calibration_error(
    logits: Float[Array, "n k"], labels: Int[Array, " n"], bins: int = BINS
) -> Scalar:
    """Expected calibration error: sum_b n_b / n |accuracy_b - mean confidence_b|.

    The bins divide [0, 1] evenly by the largest probability (Guo, Pleiss, Sun and Weinberger,
    ICML 2017, eq. 5).
    """
    confidence = jnp.max(jax.nn.softmax(logits), axis=1)
    right = _right(logits, labels)
    place = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    gaps = jax.ops.segment_sum(right - confidence, place, num_segments=bins)
    return jnp.sum(jnp.abs(gaps)) / labels.shape[0]


@eqx.filter_jit
def logits_of(model: PyTree, inputs: PyTree) -> Float[Array, "n *k"]:
    """The outputs of a model for every example, a thousand at once."""
    size = jax.tree.leaves(inputs)[0].shape[0]
    return jax.lax.map(model, inputs, batch_size=min(CHUNK, size))


@eqx.filter_jit
def _scores(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> tuple[Scalar, ...]:
    """How many are right, the mean negative log-likelihood, and the calibration error."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    right = jnp.sum(_right(logits, labels))
    return right, -jnp.mean(chosen), calibration_error(logits, labels)


def _right(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """One where the largest output is that of the label, else zero."""
    return (jnp.argmax(logits, axis=1).astype(labels.dtype) == labels).astype(logits.dtype)
