"""Layers after an encoder: they find the class of a text, or the place of an answer in it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .encoder import FAR, PAD, Dense, Encoder


class TextClassifier(eqx.Module):
    """Tokens (s,) -> logits: a linear function of the mean of the tokens' vectors."""

    encoder: Encoder
    head: eqx.nn.Linear

    def __init__(self, encoder: Encoder, classes: int, *, key: PRNGKeyArray):
        width, dtype = _width_and_type(encoder)
        self.encoder = encoder
        self.head = eqx.nn.Linear(width, classes, key=key, dtype=dtype)

    def __call__(self, tokens: Int[Array, " s"]) -> Float[Array, " classes"]:
        vectors, seen = self.encoder(tokens), tokens != PAD
        total = jnp.sum(jnp.where(seen[:, None], vectors, 0), axis=0)
        return self.head(total / jnp.sum(seen).astype(total.dtype))


class SpanFinder(eqx.Module):
    """Tokens (s,) -> logits (2, s) of the first and of the last token of a span.

    A linear function of every token's vector; padding gets -1e9 and is never chosen.
    """

    encoder: Encoder
    head: Dense

    def __init__(self, encoder: Encoder, *, key: PRNGKeyArray):
        width, dtype = _width_and_type(encoder)
        linear = eqx.nn.Linear(width, 2, key=key, dtype=dtype)
        assert linear.bias is not None
        self.encoder, self.head = encoder, Dense(linear.weight, linear.bias)

    def __call__(self, tokens: Int[Array, " s"]) -> Float[Array, "2 s"]:
        logits = self.head(self.encoder(tokens)).T
        return jnp.where(tokens != PAD, logits, jnp.asarray(FAR, logits.dtype))


def _width_and_type(encoder: Encoder) -> tuple[int, Any]:
    vectors = jax.eval_shape(encoder, jax.ShapeDtypeStruct((1,), jnp.int32))
    return vectors.shape[1], vectors.dtype
