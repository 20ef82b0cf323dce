"""Sums and products of networks: separable ones, and stages of smaller and smaller errors."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ..geometry.domains import Domain, Interval
from .mlp import MLP


class Separable(eqx.Module):
    """u(x) = sum_{r = 1}^rank f_1r(x_1) f_2r(x_2) ... f_dr(x_d), a small network for each axis.

    A sum of products in many dimensions (Cho et al., NeurIPS 2023, arXiv:2306.15969). Returns a
    scalar.
    """

    factors: tuple[MLP, ...]

    def __init__(
        self,
        domain: Domain,
        hidden: Sequence[int],
        rank: int,
        *,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """`hidden` are the widths of each factor, `options` those of `models.MLP`."""
        ends = zip(domain.lower, domain.upper, strict=True)
        keys = jax.random.split(key, domain.dimension)
        self.factors = tuple(
            MLP((1, *hidden, rank), key=k, domain=Interval(a, b), **options)
            for k, (a, b) in zip(keys, ends, strict=True)
        )

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        product = jnp.ones((), x.dtype)
        for i, factor in enumerate(self.factors):
            product = product * factor(x[i : i + 1])
        return jnp.sum(product)


class Stages(eqx.Module):
    """u(x) = first(x) + sum_i scale_i stage_i(x): each stage learns what the ones before left.

    With `scale_i` the size of the error that stage i has to make up for, its network returns
    numbers of order one, and the digits that one network cannot reach become the first digits of
    the next (Wang and Lai, J. Comput. Phys. 2024, arXiv:2307.08934). Freeze what was trained
    before: `Stages(models.Frozen(first), [(1e-6, second)])`.

    Raises ValueError for a scale that is not positive.
    """

    first: Callable[[Array], Any]
    stages: tuple[Callable[[Array], Any], ...]
    scales: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        first: Callable[[Array], Any],
        stages: Sequence[tuple[float, Callable[[Array], Any]]],
    ):
        self.first = first
        self.scales = tuple(float(scale) for scale, _ in stages)
        self.stages = tuple(stage for _, stage in stages)
        if not all(scale > 0 for scale in self.scales):
            msg = f"`stages` have the scales {self.scales}: the size of an error is positive."
            raise ValueError(msg)

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        parts = zip(self.scales, self.stages, strict=True)
        return self.first(x) + sum(scale * stage(x) for scale, stage in parts)
