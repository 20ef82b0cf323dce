"""Low-rank adapters: an encoder is frozen, and small matrices beside its layers are trained."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ...models.frozen import Frozen, freeze
from .encoder import Block, Dense, Encoder


class LowRank(eqx.Module):
    """x -> base(x) + scale B A x, with A (r, in) and B (out, r); the base is frozen."""

    base: Callable[[Array], Array]
    down: Float[Array, "r in"]
    up: Float[Array, "out r"]
    scale: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, "*s in"]) -> Float[Array, "*s out"]:
        return self.base(x) + self.scale * (x @ self.down.T) @ self.up.T

    def merged(self) -> Dense:
        """One dense layer that computes the same: W + scale B A."""
        dense: Any = _thawed(self.base)
        return Dense(dense.weight + self.scale * self.up @ self.down, dense.bias)


def add_adapters(
    encoder: Encoder, *, rank: int = 2, alpha: float = 32.0, key: PRNGKeyArray
) -> Encoder:
    """The encoder with adapters on queries, keys, values and outputs of every attention.

    They are its only parameters: everything else is `Frozen`. B starts at zero, so that nothing
    changes at first, A uniform in +-1/sqrt(in), and scale = alpha / rank (Hu et al., "LoRA",
    arXiv:2106.09685). Each adapter has 2 width rank parameters. Raises ValueError for a rank
    outside 1..width, and where the encoder has adapters already.
    """
    width = jax.eval_shape(encoder, jax.ShapeDtypeStruct((1,), jnp.int32)).shape[1]
    if not 1 <= rank <= width:
        msg = f"`rank` is {rank}; it must be 1 to {width}, the width of the encoder."
        raise ValueError(msg)
    if any(isinstance(layer, LowRank) for layer in _projections(encoder)):
        msg = "`encoder` has adapters already: merge them first (`merge_adapters`)."
        raise ValueError(msg)
    keys = jax.random.split(key, len(_projections(encoder)))
    adapted = [
        _adapter(*pair, rank, alpha) for pair in zip(_projections(encoder), keys, strict=True)
    ]
    others = freeze(
        encoder, lambda e: [e.embedding, *(part for b in e.blocks for part in _rest(b))]
    )
    return eqx.tree_at(_projections, others, adapted)


def merge_adapters(encoder: Encoder) -> Encoder:
    """A plain encoder, all of it trainable, that computes the same without adapters."""
    encoder = eqx.tree_at(_projections, encoder, [_plain(p) for p in _projections(encoder)])
    return jax.tree.map(_thawed, encoder, is_leaf=lambda node: isinstance(node, Frozen))


def _projections(encoder: Encoder) -> list[Any]:
    parts = [block.attention for block in encoder.blocks]
    return [layer for part in parts for layer in (part.query, part.key, part.value, part.out)]


def _rest(block: Block) -> list[Any]:
    return [block.attention_norm, block.inner, block.outer, block.norm]


def _adapter(layer: Dense, key: PRNGKeyArray, rank: int, alpha: float) -> LowRank:
    out, width = layer.weight.shape
    bound = width**-0.5
    down = jax.random.uniform(key, (rank, width), layer.weight.dtype, -bound, bound)
    return LowRank(Frozen(layer), down, jnp.zeros((out, rank), down.dtype), alpha / rank)


def _plain(layer: Any) -> Any:
    return layer.merged() if isinstance(layer, LowRank) else layer


def _thawed(node: Any) -> Any:
    return node.thaw() if isinstance(node, Frozen) else node
