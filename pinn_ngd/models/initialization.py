"""Initial weights and biases of a multilayer perceptron.

An initialization maps (key, sizes, domain, scale, dtype) to one pair (weight (out, in), bias
(out,)) a layer. For networks trained to the last digits the first layer matters by orders of
magnitude: tanh units are ridges, and a point of the domain far from every ridge sees an affine
function only.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..geometry.domains import Domain

Layers: TypeAlias = list[tuple[Float[Array, "out in"], Float[Array, " out"]]]
Initialization: TypeAlias = Callable[[PRNGKeyArray, Sequence[int], Domain, float, Any], Layers]


def ridge(
    key: PRNGKeyArray, sizes: Sequence[int], domain: Domain, scale: float, dtype: Any
) -> Layers:
    """Ridges spread over the domain; `scale` is the deviation of a ridge's slope across a side.

    First layer: W_ij ~ N(0, (scale / (upper_j - lower_j))^2) and b_i = -W_i . c_i with centers
    c_i uniform in the domain, so that unit i is activation(W_i . (x - c_i)). Later layers: W ~
    N(0, 1 / fan_in), b = 0.
    """
    first, centers, later = jax.random.split(key, 3)
    lower, extents = (jnp.asarray(v, dtype=dtype) for v in (domain.lower, domain.extents))
    shape = (sizes[1], sizes[0])
    weight = jnp.asarray(scale, dtype=dtype) * jax.random.normal(first, shape, dtype) / extents
    center = lower + extents * jax.random.uniform(centers, shape, dtype)
    rest = _scaled_normal(later, sizes[1:], lambda fan_in, _: fan_in**-0.5, dtype)
    return [(weight, -jnp.sum(weight * center, axis=1)), *rest]


def normal(
    key: PRNGKeyArray,
    sizes: Sequence[int],
    domain: Domain,  # noqa: ARG001
    scale: float,
    dtype: Any,
) -> Layers:
    """Every weight and bias ~ N(0, scale^2), as Müller and Zeinhofer (ICML 2023) with scale 0.1."""
    weights, biases = jax.random.split(key)
    layers = _scaled_normal(weights, sizes, lambda _in, _out: scale, dtype)
    keys = jax.random.split(biases, len(layers))
    factor = jnp.asarray(scale, dtype=dtype)
    return [
        (weight, factor * jax.random.normal(k, bias.shape, dtype))
        for k, (weight, bias) in zip(keys, layers, strict=True)
    ]


def glorot(
    key: PRNGKeyArray,
    sizes: Sequence[int],
    domain: Domain,  # noqa: ARG001
    scale: float,
    dtype: Any,
) -> Layers:
    """W ~ N(0, scale^2 2 / (fan_in + fan_out)), b = 0 (Glorot and Bengio 2010), usual for PINNs."""

    def deviation(fan_in: int, fan_out: int) -> float:
        return scale * (2.0 / (fan_in + fan_out)) ** 0.5

    return _scaled_normal(key, sizes, deviation, dtype)


def siren(
    key: PRNGKeyArray, sizes: Sequence[int], domain: Domain, scale: float, dtype: Any
) -> Layers:
    """For `activation="sin"`: waves of up to `scale` / pi periods across the domain.

    Sitzmann et al. (NeurIPS 2020, arXiv:2006.09661), their omega_0 = `scale` absorbed into the
    weights: with coordinates y in [-1, 1] the first layer has W ~ scale U(-1, 1) / fan_in, later
    layers W ~ U(-1, 1) sqrt(6 / fan_in), so that every layer sees the same distribution. Phases of
    the first layer are uniform in [-pi, pi], later biases zero.
    """
    first, phases, later = jax.random.split(key, 3)
    lower, extents = (jnp.asarray(v, dtype=dtype) for v in (domain.lower, domain.extents))
    weight = _uniform(first, (sizes[1], sizes[0]), scale * 2 / sizes[0], dtype) / extents
    bias = _uniform(phases, (sizes[1],), math.pi, dtype) - weight @ (lower + extents / 2)
    keys, fans = jax.random.split(later, max(len(sizes) - 2, 1)), pairwise(sizes[1:])
    rest = [
        (_uniform(k, (n, m), math.sqrt(6 / m), dtype), jnp.zeros(n, dtype))
        for k, (m, n) in zip(keys, fans, strict=False)
    ]
    return [(weight, bias), *rest]


def _uniform(key: PRNGKeyArray, shape: tuple[int, ...], bound: float, dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _scaled_normal(
    key: PRNGKeyArray, sizes: Sequence[int], deviation: Callable[[int, int], float], dtype: Any
) -> Layers:
    """Normal weights of the given deviation(fan_in, fan_out), zero biases."""
    fans = list(pairwise(sizes))
    keys = jax.random.split(key, max(len(fans), 1))
    return [
        (
            jnp.asarray(deviation(m, n), dtype=dtype) * jax.random.normal(k, (n, m), dtype),
            jnp.zeros(n, dtype),
        )
        for k, (m, n) in zip(keys, fans, strict=False)
    ]


INITIALIZATIONS: dict[str, tuple[Initialization, float]] = {
    "ridge": (ridge, 2.0),
    "normal": (normal, 0.1),
    "glorot": (glorot, 1.0),
    "siren": (siren, 30.0),
}
"""Name -> (initialization, default scale)."""
