"""Numbers of kernels and likelihoods: floating-point ones, and positive ones that are trained."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...families.family import as_float
from ...models import AbstractUnknown, Frozen, Positive

Unknown = AbstractUnknown | Frozen


def of_one_type(x: Any, y: Any) -> tuple[Array, Array]:
    """Two arrays of floating-point numbers, both of the more accurate type of the two."""
    x, y = as_float(x), as_float(y)
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(x, y)
    return x.astype(dtype), y.astype(dtype)


def positive(start: Any) -> Unknown:
    """A positive number or array that is trained from `start`; an unknown is taken as it is.

    `Frozen(Positive(0.1))` stays at 0.1. Raises ValueError for a start that is not positive.
    """
    return start if isinstance(start, AbstractUnknown | Frozen) else Positive(start)


def value_of(unknown: Unknown) -> Float[Array, "..."]:
    """The number or array that an unknown, frozen or not, stands for."""
    return (unknown.thaw() if isinstance(unknown, Frozen) else unknown).value
