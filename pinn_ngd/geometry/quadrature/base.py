"""What every rule is: a way to make points and weights, to make finer ones, and to be refined."""

import abc
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray


class Quadrature(eqx.Module):
    """Points (n, d) and weights (n,) of one quadrature formula.

    On boundaries and on surfaces `normals` (n, d) are the unit normals at the points, outward ones
    on the boundary of a domain. `values` (n,) or (n, k) are what was measured at the points.
    `tests` are test functions at the points, of class `geometry.elements.Tested`.
    """

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]
    normals: Float[Array, "n d"] | None = None
    values: Inexact[Array, "n *k"] | None = None
    tests: Any = None

    def integrate(self, fn: Callable[[Float[Array, " d"]], Any]) -> Float[Array, "..."]:
        """sum_i w_i fn(x_i), for fn: (d,) -> () or (k,)."""
        return jnp.tensordot(self.weights, jax.vmap(fn)(self.points), axes=1)


def drawn(rule: Quadrature, key: PRNGKeyArray, share: float) -> Quadrature:
    """A share of the points, at least one, drawn without replacement, with the weight of all.

    Sums over them have the mean of sums over the whole rule. One with test functions, which need
    all of their points, stays whole.
    """
    size = rule.weights.size
    count = min(size, max(1, round(share * size)))
    if count == size or rule.tests is not None:
        return rule
    kept = jax.random.choice(key, size, (count,), replace=False)
    part = jax.tree.map(lambda array: array[kept], rule)
    return replace(part, weights=part.weights * (size / count))


class AbstractRule(eqx.Module):
    """A way to make a `Quadrature`."""

    if TYPE_CHECKING:  # type checkers take an abstract variable for a constructor argument

        @property
        def resampled(self) -> bool: ...
    else:
        resampled: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """The points and weights; `key` is needed by resampled rules and ignored by the others."""

    @property
    def size(self) -> int:
        """Number of points."""
        return self.quadrature(jax.random.key(0)).weights.size

    def held_out(self, factor: float = 1.6) -> "AbstractRule | None":
        """A fixed rule on the same region, of other points and about `factor` times as many along
        every axis; None where the rule knows of none, and nothing can be held out."""
        del factor
        return None

    def per_piece(self) -> "tuple[AbstractRule, ...]":
        """The rule as one rule for every face of its region."""
        return (self,)

    def halved(self, axis: int, growth: float) -> "tuple[AbstractRule, ...] | None":
        """The rule on both halves of its region, with `growth` times as many points together;
        None where the region has no such axis, or the rule cannot be refined."""
        del axis, growth
        return None

    def grown(self, growth: float) -> "AbstractRule | None":
        """The rule with `growth` times as many points on the same region; None as above."""
        del growth
        return None


def as_quadrature(points: Array | np.ndarray, weights: np.ndarray) -> Quadrature:
    dtype = jnp.result_type(float)
    return Quadrature(jnp.asarray(points, dtype=dtype), jnp.asarray(weights, dtype=dtype))


def as_count(n: Any) -> int:
    """A number of points as an int; ValueError for what is no whole number."""
    try:
        return operator.index(n)
    except TypeError:
        whole = isinstance(n, float) and n.is_integer()
        cure = f"write {int(n)}" if whole else "give an int"
        raise ValueError(f"`n` = {n!r} is no whole number of points: {cure}.") from None


def as_counts(n: Any) -> int | tuple[int, ...]:
    """A number of points, or one for every axis; ValueError for what is no whole number."""
    return tuple(as_count(m) for m in n) if isinstance(n, tuple | list) else as_count(n)
