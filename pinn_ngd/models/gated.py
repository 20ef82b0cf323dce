"""Networks whose layers are mixed with their inputs: the modified MLP and the PirateNet."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..geometry.domains import Domain
from .mlp import MLP, Linear
from .normalized import UnitBox


class ModifiedMLP(eqx.Module):
    """h <- (1 - s(A h)) U + s(A h) V in every hidden layer, with U = s(A_U x) and V = s(A_V x).

    The coordinates act on every layer by the two encoders U and V, which helps where a solution is
    a product of its coordinates (Wang, Teng and Perdikaris 2021, arXiv:2001.04536). All hidden
    layers have one width.
    """

    inputs: UnitBox | None
    encoders: tuple[Linear, Linear]
    layers: tuple[Linear, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        key: PRNGKeyArray,
        domain: Domain | None = None,
        **options: Any,
    ):
        """`sizes` and the options are those of `models.MLP`; ValueError for unequal hidden widths,
        and for fewer than two hidden layers."""
        _check_width(sizes)
        main, *others = jax.random.split(key, 3)
        whole = MLP(sizes, key=main, domain=domain, **options)
        ends = [MLP(sizes[:2], key=k, domain=domain, **options) for k in others]
        self.inputs, self.layers, self.activation = whole.inputs, whole.layers, whole.activation
        self.encoders = (ends[0].layers[0], ends[1].layers[0])

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        x = x if self.inputs is None else self.inputs(x)
        u, v = (self.activation(encoder(x)) for encoder in self.encoders)
        h = x
        for layer in self.layers[:-1]:
            gate = self.activation(layer(h))
            h = (1 - gate) * u + gate * v
        return _scalar_if_one(self.layers[-1](h))


class PirateNet(eqx.Module):
    """Blocks h <- a_l g(h) + (1 - a_l) h with a_l = 0 at the start: training makes the depth.

    At the start the network is linear in its features, so that a deep one is as easy to train as
    a shallow one; each a_l is a parameter. g is three layers, the first two gated by the encoders
    U and V as in `ModifiedMLP` (Wang, Li, Chen and Perdikaris 2024, arXiv:2402.00326). `features`
    maps x to `width` numbers, for instance `FourierFeatures` with width / 2 frequencies.
    """

    features: Callable[[Float[Array, " d"]], Float[Array, " width"]]
    encoders: tuple[Linear, Linear]
    blocks: tuple[tuple[Linear, Linear, Linear], ...]
    openings: Float[Array, " blocks"]
    last: Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        features: Callable[[Array], Array],
        width: int,
        *,
        key: PRNGKeyArray,
        blocks: int = 2,
        outputs: int = 1,
        activation: str | Callable[[Array], Array] = "tanh",
    ):
        """Raises ValueError for no blocks."""
        if blocks < 1:
            raise ValueError(f"`blocks` is {blocks}: a PirateNet has one or more.")
        sizes = (*(width,) * (3 * blocks + 3), outputs)
        plain = MLP(sizes, key=key, init="glorot", activation=activation)
        first, second, *rest, self.last = plain.layers
        self.features, self.encoders = features, (first, second)
        self.blocks = tuple((rest[3 * i], rest[3 * i + 1], rest[3 * i + 2]) for i in range(blocks))
        self.openings = jnp.zeros(blocks, self.last.weight.dtype)
        self.activation = plain.activation

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        h = self.features(x)
        u, v = (self.activation(encoder(h)) for encoder in self.encoders)
        for block, opening in zip(self.blocks, self.openings, strict=True):
            h = opening * self._block(block, h, u, v) + (1 - opening) * h
        return _scalar_if_one(self.last(h))

    def _block(self, block: tuple[Linear, Linear, Linear], h: Array, u: Array, v: Array) -> Array:
        for layer in block[:2]:
            gate = self.activation(layer(h))
            h = gate * u + (1 - gate) * v
        return self.activation(block[2](h))


def _check_width(sizes: Sequence[int]) -> None:
    hidden = tuple(sizes)[1:-1]
    if len(hidden) < 2 or len(set(hidden)) > 1:
        raise ValueError(
            f"`sizes` = {tuple(sizes)}: the hidden layers of a ModifiedMLP share their gates, so "
            "give two or more of one width, such as (2, 20, 20, 1)."
        )


def _scalar_if_one(y: Array) -> Array:
    return y[0] if y.shape == (1,) else y
