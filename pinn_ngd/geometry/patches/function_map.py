"""Maps that a user writes, as functions of one reference point."""

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

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        return self._mapped(self._point, xi)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        return self._mapped(jax.jacfwd(self._point), xi)

    def _point(self, x: jax.Array) -> jax.Array:
        value = self.function(x)
        parts = value if isinstance(value, list | tuple) else [value]
        point = jnp.concatenate([jnp.atleast_1d(jnp.asarray(part, x.dtype)) for part in parts])
        if point.ndim != 1:
            raise ValueError(
                f"`map` returns shape {point.shape} at one point of shape {x.shape}: return one "
                "point (d,), and write x[0] where you mean x[:, 0]."
            )
        return point

    def _mapped(self, fn: Callable, xi: np.ndarray) -> np.ndarray:
        try:
            with jax.ensure_compile_time_eval():  # regions may be made while JAX traces
                return np.asarray(jax.jit(jax.vmap(fn))(jnp.asarray(xi, jnp.result_type(float))))
        except jax.errors.TracerArrayConversionError as error:
            raise ValueError("`map` calls NumPy on a traced number: write jnp for np.") from error
        except IndexError as error:
            raise ValueError(
                f"`map` indexes too much ({error}): it gets ONE reference point of shape "
                f"{xi.shape[1:]}, so write x[0] where you mean x[:, 0]."
            ) from error


def as_map(function: Any) -> AbstractMap:
    """A map as it is, a function as a `FunctionMap`; TypeError for anything else."""
    if isinstance(function, AbstractMap):
        return function
    if not callable(function):
        raise TypeError(
            f"`map` must be a function of one reference point, not a {type(function).__name__}."
        )
    return FunctionMap(function)
