"""A rule of points that somebody hands in: measurements, point clouds, other programs' meshes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .base import AbstractRule, Quadrature, as_quadrature


class Points(AbstractRule):
    """The given points (n, d), or (n,) on a line, always the same ones; one point is (1, d).

    `weights` (n,) are 1/n each by default: the term is then the mean over the points. Points of
    weight zero are left out. `normals` (n, d) of any length are made unit vectors. `values` (n,) or
    (n, k) are what was measured at the points. A residual asks for them by name, as
    `fn(u, x, value)` and `fn(u, x, normal)`. There are no others to hold out, and they never grow.

    Raises ValueError for other shapes, for numbers that are not finite, for weights below zero and
    for normals of length zero.
    """

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]
    normals: Float[Array, "n d"] | None
    values: Inexact[Array, "n *k"] | None
    resampled: bool = eqx.field(static=True, default=False, init=False)

    def __init__(
        self, points: Any, weights: Any = None, *, normals: Any = None, values: Any = None
    ):
        points = _column(np.asarray(points))
        count = points.shape[0] if points.ndim else 0
        weights = np.full(count, 1 / max(count, 1)) if weights is None else np.asarray(weights)
        _check(points, weights)
        kept = weights > 0
        made = as_quadrature(points[kept], weights[kept])
        self.points, self.weights = made.points, made.weights
        self.normals = None if normals is None else _units(np.asarray(normals), points)[kept]
        self.values = None if values is None else _measured(np.asarray(values), points)[kept]
        self.resampled = False

    @property
    def size(self) -> int:
        return self.weights.size

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The points as they were given."""
        return Quadrature(self.points, self.weights, self.normals, self.values)


def as_rule(rule: Any, owner: str = "`rule` of a term") -> AbstractRule:
    """A rule, a `Quadrature` or an array of points, as a rule.

    Raises ValueError, which names the `owner`, for anything else.
    """
    if isinstance(rule, AbstractRule):
        return rule
    if hasattr(rule, "points") and hasattr(rule, "weights"):
        more = {name: getattr(rule, name, None) for name in ("normals", "values")}
        return Points(rule.points, rule.weights, **more)
    if isinstance(rule, jax.Array | np.ndarray):
        return Points(rule)
    raise ValueError(
        f"{owner} is {_described(rule)}: give a rule such as `GaussLegendre(domain, 16)`, "
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


def _units(normals: np.ndarray, points: np.ndarray) -> Array:
    if normals.shape != points.shape or not _is_real(normals):
        raise ValueError(
            f"`normals` have shape {normals.shape} and dtype {normals.dtype}: give one vector of "
            f"real numbers a point, shape {points.shape}."
        )
    lengths = np.linalg.norm(normals, axis=1)
    wrong = ~(np.isfinite(lengths) & (lengths > 0))
    if wrong.any():
        raise ValueError(
            f"`normals` have no direction at the point {points[int(np.argmax(wrong))]}: give "
            "vectors of finite length above zero."
        )
    return as_quadrature(normals / lengths[:, None], lengths).points


def _measured(values: np.ndarray, points: np.ndarray) -> Array:
    """The values as numbers of the default precision, real or complex."""
    kind = complex if np.iscomplexobj(values) else float
    numeric = values.dtype.kind in "iufc" or jnp.issubdtype(values.dtype, jnp.inexact)
    if values.shape[:1] != points.shape[:1] or not numeric:
        raise ValueError(
            f"`values` have shape {values.shape} and dtype {values.dtype}: give one number, or one "
            f"row of numbers, for each of the {len(points)} points."
        )
    if not np.isfinite(values).all():
        raise ValueError("`values` hold a number that is not finite: leave those points out.")
    return jnp.asarray(values, dtype=jnp.result_type(kind))


def _is_real(values: np.ndarray) -> bool:
    return bool(
        jnp.issubdtype(values.dtype, jnp.floating) or np.issubdtype(values.dtype, np.integer)
    )
