"""A rule of points that somebody hands in: measurements, a mesh of another program."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .base import AbstractRule, Quadrature, as_quadrature


class Given(AbstractRule):
    """The given points (n, d), or (n,) on a line, always the same ones.

    `weights` (n,) are 1/n each by default: the term is then the mean over the points. Points of
    weight zero are left out. There are no others to hold out, and they never grow.

    Raises ValueError for other shapes, for points or weights that are not finite, and for weights
    below zero.
    """

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]
    resampled: bool = eqx.field(static=True, default=False, init=False)

    def __init__(self, points: Any, weights: Any = None):
        points = _column(np.asarray(points))
        count = points.shape[0]
        weights = np.full(count, 1 / max(count, 1)) if weights is None else np.asarray(weights)
        _check(points, weights)
        given = as_quadrature(points[weights > 0], weights[weights > 0])
        self.points, self.weights = given.points, given.weights
        self.resampled = False

    @property
    def size(self) -> int:
        return self.weights.size

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The points as they were given."""
        return Quadrature(self.points, self.weights)


def as_rule(rule: Any) -> AbstractRule:
    """A rule, a `Quadrature` or an array of points, as a rule.

    Raises ValueError for anything else.
    """
    if isinstance(rule, AbstractRule):
        return rule
    if hasattr(rule, "points") and hasattr(rule, "weights"):
        return Given(rule.points, rule.weights)
    if isinstance(rule, jax.Array | np.ndarray):
        return Given(rule)
    raise ValueError(
        f"`rule` of a term is {_described(rule)}: give a rule such as `GaussLegendre(domain, 16)`, "
        "a `Quadrature`, or an array (n, d) of points."
    )


def _described(rule: Any) -> str:
    return repr(rule) if isinstance(rule, str | int | float) else f"a {type(rule).__name__}"


def _column(points: np.ndarray) -> np.ndarray:
    return points[:, None] if points.ndim == 1 else points


def _check(points: np.ndarray, weights: np.ndarray) -> None:
    if points.ndim != 2 or points.size == 0 or not _is_real(points):
        raise ValueError(
            f"`points` have shape {points.shape} and dtype {points.dtype}: give real numbers "
            "(n, d), one row a point."
        )
    if weights.shape != points.shape[:1] or not _is_real(weights):
        raise ValueError(
            f"`weights` have shape {weights.shape} and dtype {weights.dtype}: give one real "
            f"number for each of the {len(points)} points."
        )
    finite = np.isfinite(points).all() and np.isfinite(weights).all()
    if not finite or weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "`points` or `weights` hold a number that is not finite, or a weight below zero, or no "
            "weight above: leave those points out."
        )


def _is_real(values: np.ndarray) -> bool:
    return bool(
        jnp.issubdtype(values.dtype, jnp.floating) or np.issubdtype(values.dtype, np.integer)
    )
