"""Multilayer perceptrons with initializations made for differential equations."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._names import choose
from ..geometry.domains import Box, Domain
from .initialization import INITIALIZATIONS
from .normalized import UnitBox

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
}


class Linear(eqx.Module):
    """The affine map x -> weight x + bias."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        return self.weight @ x + self.bias


class MLP(eqx.Module):
    """u(x) = A_L s(A_{L-1} ... s(A_1 x)), with affine maps A_l and the smooth activation s.

    With `init="ridge"` and a `domain` whose coordinates are far from order one (sides below 0.1 or
    above 10, or more than 10 from zero) the first layer sees (x - lower) / extents. Called with
    x (sizes[0],); returns () if the last size is 1, else (sizes[-1],).
    """

    inputs: UnitBox | None
    layers: tuple[Linear, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        key: PRNGKeyArray,
        domain: Domain | None = None,
        activation: str | Callable[[Array], Array] = "tanh",
        init: str = "ridge",
        scale: float | None = None,
        dtype: Any = None,
    ):
        """Arguments:

        * `sizes`: widths (inputs, hidden, ..., outputs), at least two;
        * `domain`: where the network lives, for "ridge" and "siren"; the unit box by default;
        * `activation`: "tanh", "sin", "gelu", "softplus" or a twice differentiable function of
          arrays;
        * `init`: "ridge", "normal", "glorot" or "siren", see `pinn_ngd.models.initialization`;
        * `scale`: of the initialization, by default 2, 0.1, 1 and 30 in this order;
        * `dtype`: of the parameters, by default JAX's default float (float64 with x64 enabled).

        Raises ValueError for bad sizes, unknown names, or a domain of another dimension than
        sizes[0].
        """
        sizes = _checked_sizes(sizes)
        self.activation = _lookup("activation", activation, ACTIVATIONS)
        initialize, default_scale = _lookup("init", init, INITIALIZATIONS)
        domain = _checked_domain(domain, sizes[0])
        scale = default_scale if scale is None else scale
        dtype = jnp.result_type(float) if dtype is None else dtype
        inputs = UnitBox(domain)
        self.inputs = None if init != "ridge" or inputs.is_of_order_one else inputs
        seen = domain if self.inputs is None else _unit_box(sizes[0])
        self.layers = tuple(Linear(*layer) for layer in initialize(key, sizes, seen, scale, dtype))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        x = x if self.inputs is None else self.inputs(x)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        y = self.layers[-1](x)
        return y[0] if y.shape == (1,) else y


def _lookup(name: str, choice: Any, known: dict[str, Any]) -> Any:
    return choice if callable(choice) else choose(choice, known, f"`{name}`")


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(sizes)
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"`sizes` = {sizes} describes no network. "
            "Give at least two positive widths (inputs, hidden, ..., outputs), such as (2, 32, 1)."
        )
    return sizes


def _unit_box(dimension: int) -> Box:
    return Box((0.0,) * dimension, (1.0,) * dimension)


def _checked_domain(domain: Domain | None, dimension: int) -> Domain:
    domain = _unit_box(dimension) if domain is None else domain
    if domain.dimension != dimension:
        raise ValueError(
            f"`domain` has dimension {domain.dimension}, but `sizes` starts with {dimension}. "
            "Make the first size the number of coordinates (in space-time, time counts too)."
        )
    return domain
