"""Maps that a user writes, as functions of one reference point."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .maps import AbstractMap


@dataclass(frozen=True)
class FunctionMap(AbstractMap):
    """A function of ONE reference point (k,), written with jax.numpy; JAX differentiates it.

    It returns a point (d,), as an array, a list or a tuple. Raises ValueError, when it is called,
    for a function that JAX cannot trace or that returns anything else.
    """

    function: Callable[[Any], Any]
    name: str = "map"

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return self._mapped(False, xi)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return self._mapped(True, xi)

    def _mapped(self, slopes: bool, xi: np.ndarray) -> np.ndarray:
        """Values or slopes at reference points, in double precision whatever JAX's default is."""
        count = len(xi)
        filled = np.repeat(xi[:1], _rounded_up(count) - count, axis=0) if count else xi[:0]
        try:
            # Regions may be made while JAX traces.
            with jax.ensure_compile_time_eval(), jax.enable_x64(True):
                points = jnp.asarray(np.concatenate([xi, filled]), jnp.float64)
                return np.asarray(_compiled(self.function, slopes)(points))[:count]
        except jax.errors.TracerArrayConversionError as error:
            msg = f"`{self.name}` calls NumPy on a traced number: write jnp for np."
            raise ValueError(msg) from error
        except IndexError as error:
            raise ValueError(
                f"`{self.name}` indexes too much ({error}): it gets ONE reference point of shape "
                f"{xi.shape[1:]}, so write x[0] where you mean x[:, 0]."
            ) from error


@functools.lru_cache(maxsize=256)
def _compiled(function: Callable[[Any], Any], slopes: bool) -> Callable[[jax.Array], jax.Array]:
    """The function, or its Jacobian, of many points: compiled once for each function and size."""

    def point(x: jax.Array) -> jax.Array:
        return _as_point(function(x), x)

    return jax.jit(jax.vmap(jax.jacfwd(point) if slopes else point))


def _as_point(value: Any, x: jax.Array) -> jax.Array:
    parts = value if isinstance(value, list | tuple) else [value]
    point = jnp.concatenate([jnp.atleast_1d(jnp.asarray(part, x.dtype)) for part in parts])
    if point.ndim != 1:
        raise ValueError(
            f"`map` returns shape {point.shape} at one point of shape {x.shape}: return one "
            "point (d,), and write x[0] where you mean x[:, 0]."
        )
    return point


def _rounded_up(count: int) -> int:
    """A power of two, so that few sizes are compiled."""
    return 1 << max(count - 1, 0).bit_length()


def as_map(function: Any) -> AbstractMap:
    """A map as it is, a function as a `FunctionMap`; TypeError for anything else."""
    if isinstance(function, AbstractMap):
        return function
    if not callable(function):
        raise TypeError(
            f"`map` must be a function of one reference point, not a {type(function).__name__}."
        )
    return FunctionMap(function)
