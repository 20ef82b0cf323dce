"""How well spans are found in unseen texts: exactly, and by their overlap."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ...evaluation.scores import logits_of
from .span_loss import SpanCrossEntropy


def span_scores(
    ids: np.ndarray, spans: np.ndarray, *, prefix: str = "test_"
) -> Callable[[PyTree], dict[str, float]]:
    """A function model -> {"test_accuracy", "test_error", "test_score", "test_nll"}.

    `model` maps tokens (s,) to logits (2, s), `spans` (n, 2) are the first and last tokens.
    Accuracy is the share of spans found exactly and error what lacks to one; score is the mean F1
    of the tokens of the span found and of the right one (Rajpurkar et al., "SQuAD", EMNLP 2016).
    Raises ValueError where spans and texts differ in number.
    """
    if len(ids) != len(spans) or len(ids) == 0:
        msg = f"`spans` are {len(spans)} and `ids` {len(ids)}: give one for each, and at least one."
        raise ValueError(msg)
    tokens, targets = jnp.asarray(ids), jnp.asarray(spans)

    def scores(model: PyTree) -> dict[str, float]:
        right, overlap, nll = _scores(logits_of(model, tokens), targets)
        n = len(ids)
        values = {"accuracy": int(right) / n, "error": (n - int(right)) / n}
        values |= {"score": float(overlap), "nll": float(nll)}
        return {prefix + name: value for name, value in values.items()}

    return scores


@eqx.filter_jit
def best_spans(logits: Float[Array, "n 2 s"]) -> Int[Array, "n 2"]:
    """The pairs first <= last with the largest sum of logits."""
    s = logits.shape[2]
    sums = logits[:, 0, :, None] + logits[:, 1, None, :]
    ordered = jnp.arange(s)[:, None] <= jnp.arange(s)
    flat = jnp.where(ordered, sums, -jnp.inf).reshape(-1, s * s)
    return jnp.stack(jnp.divmod(jnp.argmax(flat, axis=1), s), axis=1)


def overlaps(found: Int[Array, "n 2"], right: Int[Array, "n 2"]) -> Float[Array, " n"]:
    """2 |common| / (|found| + |right|) of spans of tokens: F1."""
    right = right.astype(found.dtype)
    low, high = jnp.maximum(found[:, 0], right[:, 0]), jnp.minimum(found[:, 1], right[:, 1])
    lengths = found[:, 1] - found[:, 0] + right[:, 1] - right[:, 0] + 2
    return 2 * jnp.maximum(high - low + 1, 0) / lengths


@eqx.filter_jit
def _scores(logits: Float[Array, "n 2 s"], right: Int[Array, "n 2"]) -> tuple[Array, ...]:
    found = best_spans(logits)
    exact = jnp.sum(jnp.all(found == right.astype(found.dtype), axis=1))
    losses = jax.vmap(SpanCrossEntropy().value)(logits.reshape(len(logits), -1), right)
    return exact, jnp.mean(overlaps(found, right)), jnp.mean(losses)
