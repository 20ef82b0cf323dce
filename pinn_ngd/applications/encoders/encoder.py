"""A transformer encoder of the BERT family for one sequence of tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

PAD = 0  # the token that fills up a batch; no position attends to it
FAR = -1e9  # added to what must not be chosen: finite, so that no derivative is 0/0


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of an encoder; the defaults are those of MiniLM with six layers. `types` may be 0."""

    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    width: int = 384
    heads: int = 12
    hidden: int = 1536
    layers: int = 6
    epsilon: float = 1e-12

    def __post_init__(self):
        if self.width % self.heads:
            msg = f"`width` {self.width} must be a multiple of `heads` {self.heads}."
            raise ValueError(msg)


class Dense(eqx.Module):
    """x (..., in) -> x W^T + b for every position."""

    is_dense: ClassVar[bool] = True
    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __call__(self, x: Float[Array, "*s in"]) -> Float[Array, "*s out"]:
        return x @ self.weight.T + self.bias


class Norm(eqx.Module):
    """Each position shifted and scaled to mean 0 and variance 1, times weight, plus bias."""

    is_norm: ClassVar[bool] = True
    weight: Float[Array, " d"]
    bias: Float[Array, " d"]
    epsilon: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, "*s d"]) -> Float[Array, "*s d"]:
        centered = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centered**2, axis=-1, keepdims=True)
        return centered * jax.lax.rsqrt(variance + self.epsilon) * self.weight + self.bias


class Embedding(eqx.Module):
    """The normalized sum of a word's, its position's and its segment's (always 0) vectors."""

    words: Float[Array, "v d"]
    positions: Float[Array, "p d"]
    types: Float[Array, "t d"]
    norm: Norm

    def __call__(self, tokens: Int[Array, " s"]) -> Float[Array, "s d"]:
        return self.norm(self.words[tokens] + self.positions[: len(tokens)] + self.types[0])


class Attention(eqx.Module):
    """Self-attention of several heads; `query`, `key`, `value`, `out` are dense layers."""

    query: Callable[[Array], Array]
    key: Callable[[Array], Array]
    value: Callable[[Array], Array]
    out: Callable[[Array], Array]
    heads: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "s d"], seen: Bool[Array, " s"]) -> Float[Array, "s d"]:
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = jnp.einsum("shd,thd->hst", q, k) / jnp.sqrt(jnp.asarray(q.shape[-1], q.dtype))
        weights = jax.nn.softmax(jnp.where(seen, scores, jnp.asarray(FAR, scores.dtype)))
        return self.out(jnp.einsum("hst,thd->shd", weights, v).reshape(x.shape))

    def _split(self, x: Float[Array, "s d"]) -> Float[Array, "s heads part"]:
        return x.reshape(x.shape[0], self.heads, -1)


class Block(eqx.Module):
    """Attention, then a network of one hidden layer, each added to its input and normalized."""

    attention: Attention
    attention_norm: Callable[[Array], Array]
    inner: Callable[[Array], Array]
    outer: Callable[[Array], Array]
    norm: Callable[[Array], Array]

    def __call__(self, x: Float[Array, "s d"], seen: Bool[Array, " s"]) -> Float[Array, "s d"]:
        x = self.attention_norm(x + self.attention(x, seen))
        hidden = jax.nn.gelu(self.inner(x), approximate=False)
        return self.norm(x + self.outer(hidden))


class Encoder(eqx.Module):
    """Tokens (s,), padded with 0, -> a vector for each, (s, width).

    The layout of BERT (Devlin, Chang, Lee and Toutanova, NAACL 2019): normalization after each sum,
    exact GELU, learned positions, without dropout and pooler. What stands at padding is of no use.
    Raises ValueError for more tokens than positions.
    """

    embedding: Callable[[Array], Array]
    blocks: tuple[Block, ...]
    positions: int = eqx.field(static=True)

    def __call__(self, tokens: Int[Array, " s"]) -> Float[Array, "s d"]:
        if len(tokens) > self.positions:
            msg = (
                f"`tokens` are {len(tokens)}, but the model has {self.positions} positions: cut the"
                " text, or split it."
            )
            raise ValueError(msg)
        x, seen = self.embedding(tokens), tokens != PAD
        for block in self.blocks:
            x = block(x, seen)
        return x


def random_encoder(config: EncoderConfig, *, key: PRNGKeyArray, dtype: Any = None) -> Encoder:
    """An untrained encoder: weights normal with deviation 1 / sqrt(inputs), biases zero."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    first, *keys = jax.random.split(key, 1 + config.layers)
    return Encoder(
        _random_embedding(config, first, dtype),
        tuple(_random_block(config, k, dtype) for k in keys),
        config.positions,
    )


def _random_embedding(config: EncoderConfig, key: PRNGKeyArray, dtype: Any) -> Embedding:
    rows = (config.vocabulary, config.positions, max(config.types, 1))
    keys = jax.random.split(key, 3)
    tables = [
        jax.random.normal(k, (n, config.width), dtype) for k, n in zip(keys, rows, strict=True)
    ]
    words, positions, types = tables
    return Embedding(words, positions, types, _unit_norm(config, dtype))


def _random_block(config: EncoderConfig, key: PRNGKeyArray, dtype: Any) -> Block:
    width, hidden = config.width, config.hidden
    sizes = [(width, width)] * 4 + [(hidden, width), (width, hidden)]
    keys = jax.random.split(key, len(sizes))
    dense = [_random_dense(k, size, dtype) for k, size in zip(keys, sizes, strict=True)]
    query, to_key, value, out, inner, outer = dense
    norms = _unit_norm(config, dtype), _unit_norm(config, dtype)
    return Block(
        Attention(query, to_key, value, out, config.heads), norms[0], inner, outer, norms[1]
    )


def _random_dense(key: PRNGKeyArray, size: tuple[int, int], dtype: Any) -> Dense:
    weight = jax.random.normal(key, size, dtype) / jnp.sqrt(jnp.asarray(size[1], dtype))
    return Dense(weight, jnp.zeros(size[0], dtype))


def _unit_norm(config: EncoderConfig, dtype: Any) -> Norm:
    return Norm(jnp.ones(config.width, dtype), jnp.zeros(config.width, dtype), config.epsilon)
