"""Functions of a point that are written with NumPy, where JAX wants to trace them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

UNTRACEABLE = (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError)


class HostFunction(eqx.Module):
    """A function of one point (d,) that is run by Python, point by point. It has no derivative."""

    fn: Callable[[np.ndarray], Any] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        values = jax.ShapeDtypeStruct(self.shape, self.dtype)
        return jax.pure_callback(self._values, values, x, vmap_method="broadcast_all")

    def _values(self, x: Any) -> np.ndarray:
        points = np.asarray(x)
        rows = [np.asarray(self.fn(row)) for row in points.reshape(-1, points.shape[-1])]
        return np.stack(rows).astype(self.dtype).reshape(*points.shape[:-1], *self.shape)


def traceable(fn: Callable[[Any], Any], point: Any) -> Callable[[Any], Any]:
    """A function of a point as it is, or as a `HostFunction` where JAX cannot trace it.

    `point` is one where it can be called. Whatever else is wrong with the function shows later.
    """
    try:
        jax.eval_shape(fn, jax.ShapeDtypeStruct(point.shape, point.dtype))
    except UNTRACEABLE:
        value = np.asarray(fn(np.asarray(point)))
        kind = complex if np.iscomplexobj(value) else float
        return HostFunction(fn, value.shape, jnp.result_type(kind))
    except Exception:  # it belongs to whoever calls the function
        return fn
    return fn
