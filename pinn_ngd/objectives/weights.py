"""Weights of terms: a number, one for every component or equation, or a function of the point."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

Weight: TypeAlias = float | Array | Callable[[Array], Any] | Mapping[str, Any]


REST = ""  # the name under which a dict of weights holds that of all equations it does not name


def as_weight(weight: Any) -> Any:
    """A list, tuple or NumPy array as a JAX array of floats; everything else as it is."""
    if isinstance(weight, Mapping):
        return {name: as_weight(one) for name, one in weight.items()}
    if isinstance(weight, list | tuple | np.ndarray):
        return jnp.asarray(weight, dtype=jnp.result_type(float))
    return weight


def check_weight(weight: Any, name: str) -> None:
    """ValueError for what is no positive number, no array of them and no function."""
    if callable(weight):
        return
    if isinstance(weight, Mapping):
        for equation, one in weight.items():
            check_weight(one, f"{name}.{equation}")
        return
    if isinstance(weight, str):
        msg = (
            f"`weight` of the term '{name}' is {weight!r}, which is no number: pass a name by its "
            f"keyword, `name={weight!r}`."
        )
        raise ValueError(msg)
    if isinstance(weight, Tracer):  # inside a transformation: there is nothing to see
        return
    if not isinstance(weight, int | float | jax.Array | np.generic):
        msg = (
            f"`weight` of the term '{name}' is a {type(weight).__name__}; it must be a positive "
            "number, one for every component or named equation, or a function of the point."
        )
        raise ValueError(msg)
    values = np.asarray(weight)
    if values.ndim > 1 or not (np.isrealobj(values) and np.all(values > 0) and _finite(values)):
        msg = f"`weight` of the term '{name}' is {weight}; it must be positive."
        raise ValueError(msg)


def is_number(weight: Any) -> bool:
    """Whether a weight is the same for all components and points, and known to Python."""
    return isinstance(weight, int | float)


def weight_at(weight: Any, x: Array, values: Array, owner: str) -> Float[Array, "*k"]:
    """The weight at one point, for values () or (k,); raises ValueError where shapes differ."""
    found = jnp.asarray(weight(x) if callable(weight) else weight)
    if found.shape not in ((), values.shape):
        msg = (
            f"{owner} has a `weight` of shape {found.shape}, but values of shape {values.shape} at "
            "a point: give one weight, or one for every component."
        )
        raise ValueError(msg)
    if not (jnp.issubdtype(found.dtype, jnp.floating) or jnp.issubdtype(found.dtype, jnp.integer)):
        msg = f"{owner} has a `weight` of dtype {found.dtype}: it must be real."
        raise ValueError(msg)
    return found.astype(jnp.finfo(values.dtype).dtype)


def weight_of_system(
    weights: Any, x: Array, parts: Mapping[str, Array], owner: str
) -> Float[Array, " k"]:
    """The weights at one point of a system of named equations, in one row.

    `weights` is of any kind, or a dict with weights of some equations; the others have weight 1,
    or that of the name `REST`.
    Raises ValueError for a weight of an equation that there is not.
    """
    row = jnp.concatenate([jnp.atleast_1d(part) for part in parts.values()])
    if not isinstance(weights, Mapping):
        return jnp.broadcast_to(weight_at(weights, x, row, owner), row.shape)
    unknown = [name for name in weights if name not in parts and name != REST]
    if unknown:
        msg = (
            f"{owner} has a `weight` for {unknown[0]!r}, but its equations are "
            f"{', '.join(parts)}: name one of these."
        )
        raise ValueError(msg)
    rest = weights.get(REST, 1.0)
    found = [
        jnp.broadcast_to(weight_at(weights.get(name, rest), x, part, owner), part.shape)
        for name, part in parts.items()
    ]
    return jnp.concatenate([jnp.atleast_1d(one) for one in found])


def check_weights_at_points(weight: Any, points: Array, name: str) -> None:
    """ValueError where a weight function is below zero, or not finite, at one of the points."""
    for equation, one in weight.items() if isinstance(weight, Mapping) else ():
        check_weights_at_points(one, points, f"{name}.{equation}")
    if not callable(weight):
        return
    values = np.asarray(jax.vmap(lambda x: jnp.asarray(weight(x)))(points))
    flat = values.reshape(len(points), -1)
    wrong = np.any(~np.isfinite(flat) | (flat < 0), axis=1)
    if wrong.any():
        i = int(np.argmax(wrong))
        msg = (
            f"`weight` of the term '{name}' is {values[i]} at the point {np.asarray(points[i])}; "
            "it must be finite and not below zero."
        )
        raise ValueError(msg)


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def scaled(weight: Any, factor: float) -> Any:
    """A weight of any kind, times a factor."""
    factor = float(factor)
    if isinstance(weight, Mapping):
        return {name: scaled(one, factor) for name, one in {REST: 1.0, **weight}.items()}

    def at(x: Array) -> Any:
        return factor * weight(x)

    return at if callable(weight) else factor * weight
