"""What a user's function returned at one point, as the real numbers of a least-squares system."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact


def numbers(returned: Any, owner: str) -> Inexact[Array, "*k"]:
    """A scalar, an array (k,), or a list, tuple or dict of these in one row, as a float or complex
    array.

    Raises ValueError, which begins with `owner`, for everything else.
    """
    if isinstance(returned, Mapping):
        returned = list(named(returned, owner).values())
    if isinstance(returned, list | tuple):
        return _row([_array(part, owner) for part in returned], owner)
    values = _array(returned, owner)
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        raise ValueError(
            f"{owner} returns {_kind(values.dtype)} at a point, which has no derivative: return "
            "floating-point numbers."
        )
    return values


def named(returned: Mapping[Any, Any], owner: str) -> dict[str, Inexact[Array, "*k"]]:
    """The equations of a system by name, in the order in which they were written.

    Raises ValueError, which begins with `owner`, for names that are no text.
    """
    for name in returned:
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{owner} returns a dict with the key {name!r}: the keys are names of equations."
            )
    return {name: _array(part, owner) for name, part in returned.items()}


def real(values: Array) -> Array:
    """Complex values (), (k,) or (k, ...) as real ones with the same sum of squares: real parts,
    then imaginary parts, along the first axis; real ones as they are."""
    if not jnp.issubdtype(values.dtype, jnp.complexfloating):
        return values
    values = jnp.atleast_1d(values)
    return jnp.concatenate([values.real, values.imag])


def real_scalar(returned: Any, owner: str) -> Array:
    """One real number; raises ValueError, which begins with `owner`, for everything else."""
    value = numbers(returned, owner)
    if value.ndim != 0 or jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise ValueError(
            f"{owner} returns {_kind(value.dtype)} of shape {value.shape}, but it must be one real "
            "number: take a sum, and `jnp.abs(z) ** 2` for the square of a complex z."
        )
    return value


def _array(part: Any, owner: str) -> Array:
    """One part of what was returned, of shape () or (k,)."""
    if part is None:
        raise ValueError(
            f"{owner} returns None: end the function with `return`, or write it as one expression."
        )
    if not isinstance(part, jax.Array | np.ndarray | np.generic | int | float | complex):
        raise ValueError(
            f"{owner} returns a {type(part).__name__}: return a scalar or an array of shape (k,), "
            "or a list, tuple or dict of these."
        )
    values = jnp.asarray(part)
    if values.ndim > 1:
        raise ValueError(
            f"{owner} returns an array of shape {values.shape} at one point, but it must be a "
            "scalar or (k,): flatten it with `jnp.ravel`."
        )
    return values


def _row(parts: list[Array], owner: str) -> Array:
    if not parts:
        raise ValueError(
            f"{owner} returns nothing in a list, tuple or dict: return a number at least."
        )
    with jax.numpy_dtype_promotion("standard"):  # a number beside an array is no accident here
        dtype = jnp.result_type(*(part.dtype for part in parts))
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise ValueError(
            f"{owner} returns {_kind(dtype)} in a list, tuple or dict, which have no derivative: "
            "return floating-point numbers."
        )
    return jnp.concatenate([jnp.atleast_1d(part).astype(dtype) for part in parts])


def _kind(dtype: Any) -> str:
    if dtype == jnp.bool_:
        return "truth values"
    if jnp.issubdtype(dtype, jnp.integer):
        return "integers"
    return f"{dtype} numbers"
