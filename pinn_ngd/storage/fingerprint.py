"""What a run is: its parts as plain values, in which two runs can be compared."""

import ast
import dataclasses
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .owned import globals_of, is_the_users

DIGITS = 9
DEPTH = 12


def identity_of(objective: Any, model: PyTree, optimizer: Any) -> dict[str, Any]:
    """What must agree between the two parts of a run that is cut and resumed."""
    return {
        "terms": fingerprint(objective),
        "network": fingerprint(model, values=False),
        "method": fingerprint(optimizer),
    }


def fingerprint(
    value: Any, *, values: bool = True, depth: int = DEPTH, seen: set[int] | None = None
) -> Any:
    """Plain JSON that differs where two objects would train differently.

    Modules are taken apart; a function counts by its name, its source and what it closes over, an
    array by shape, dtype and, with `values`, by `moments`. What users wrote counts by more: classes
    by their source, functions by the globals that they read. Objects of unknown kind count by type,
    and a function that was met before (in `seen`) by its name.
    """
    seen = set() if seen is None else seen
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, complex):
        return str(value)
    if depth == 0:
        return type(value).__name__
    inner = functools.partial(fingerprint, values=values, depth=depth - 1, seen=seen)
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = np.asarray(jax.random.key_data(value))
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return array_in_words(np.asarray(value), values)
    if isinstance(value, Mapping):
        return {str(key): inner(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [inner(item) for item in value]
    if isinstance(value, functools.partial):
        return {"partial": inner(value.func), "args": inner(value.args), **inner(value.keywords)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: inner(getattr(value, f.name, None)) for f in dataclasses.fields(value)}
        code = {"source": _source(type(value))} if is_the_users(type(value)) else {}
        return {"type": type(value).__name__, **code, **fields}
    if inspect.isfunction(value) and id(value) not in seen:
        seen.add(id(value))
        return _function(value, inner)
    if inspect.ismethod(value):
        return {"method": value.__name__, "of": inner(value.__self__)}
    return str(getattr(value, "__name__", type(value).__name__))


def _function(value: Any, inner: Any) -> Any:
    closed = [cell for cell in value.__closure__ or () if _is_filled(cell)]
    description = {"function": value.__name__, "source": _source(value)}
    if closed:
        description["closure"] = [inner(cell.cell_contents) for cell in closed]
    if value.__defaults__ or value.__kwdefaults__:
        description["defaults"] = inner([value.__defaults__, value.__kwdefaults__])
    read = globals_of(value) if is_the_users(value) else {}
    if read:
        description["globals"] = {name: inner(item) for name, item in read.items()}
    return description


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _source(value: Any) -> str | None:
    try:
        text = textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    return digest(meaning_of(text))


def meaning_of(text: str) -> str:
    """A program without comments and layout; a part of one, such as a lambda, without spaces."""
    try:
        return ast.unparse(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError):
        return "".join(text.split())


def digest(text: str) -> str:
    """The start of the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()[:16]


def array_in_words(array: np.ndarray, values: bool = True) -> str:
    """dtype[shape], with the `moments` of the values behind it."""
    kind = f"{array.dtype}[{','.join(map(str, array.shape))}]"
    if not values or array.size == 0 or array.dtype.kind not in "biufc":
        return kind
    return f"{kind} {' '.join(moments(array))}"


def moments(array: np.ndarray) -> list[str]:
    """Scale, mean and two oscillating means of an array, to nine digits of its scale.

    Points and data come out of libraries that differ in their last digits from one processor to
    the next: a hash of the bits would refuse to resume a run on another machine.
    """
    numbers = array.ravel().astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    size = np.abs(numbers)
    scale = float(np.max(size, where=np.isfinite(size), initial=0.0))
    numbers = np.where(np.isfinite(size), numbers, 2.0) / np.where(np.isfinite(size), scale or 1, 1)
    place = np.arange(numbers.size, dtype=np.float64)
    weights = (1.0, np.cos(place), np.sin(np.sqrt(2.0) * place))
    parts = [complex(np.mean(numbers * weight)) for weight in weights]
    found = [number for part in parts for number in ((part.real, part.imag))]
    kept = found if array.dtype.kind == "c" else found[::2]
    # Adding zero makes -0.0 the zero that it is.
    return [
        f"{scale:.{DIGITS}g}",
        *(f"{round(number, DIGITS) + 0.0:.{DIGITS}f}" for number in kept),
    ]


def first_difference(there: Any, here: Any, path: str = "") -> str | None:
    """Where two fingerprints differ first, as a clause; None where they agree."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        keys = [*there, *(key for key in here if key not in there)]
        pairs = [(key, there.get(key, "missing"), here.get(key, "missing")) for key in keys]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(number, *both) for number, both in enumerate(zip(there, here, strict=True))]
    else:
        agree = there == here and isinstance(there, bool) == isinstance(here, bool)
        return None if agree else f"`{path}` is {_short(there)} there and {_short(here)} here"
    found = (first_difference(a, b, f"{path}.{key}" if path else str(key)) for key, a, b in pairs)
    return next((difference for difference in found if difference is not None), None)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
