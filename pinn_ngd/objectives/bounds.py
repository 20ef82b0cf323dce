"""Indices out of range in a traced function: JAX clamps them without a word."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

_Known = dict[Any, np.ndarray]


def out_of_range(closed: ClosedJaxpr) -> tuple[int, tuple[int, ...]] | None:
    """An index known when tracing that lies outside its array, and the array's shape, if any."""
    known = dict(zip(closed.jaxpr.constvars, map(_small, closed.consts), strict=True))
    return next(_wrong(closed.jaxpr, {k: v for k, v in known.items() if v is not None}), None)


def _wrong(jaxpr: Jaxpr, known: _Known) -> Iterator[tuple[int, tuple[int, ...]]]:
    for eqn in jaxpr.eqns:
        inputs = [_value(v, known) for v in eqn.invars]
        if eqn.primitive.name in _CHECKS:
            yield from _CHECKS[eqn.primitive.name](eqn, inputs)
        for inner in _inner(eqn):
            same = len(inner.jaxpr.invars) == len(inputs)
            pairs = zip(inner.jaxpr.invars, inputs, strict=True) if same else ()
            inside = {v: value for v, value in pairs if value is not None}
            consts = zip(inner.jaxpr.constvars, map(_small, inner.consts), strict=True)
            inside |= {v: value for v, value in consts if value is not None}
            yield from _wrong(inner.jaxpr, inside)
        rule = _RULES.get(eqn.primitive.name)
        if rule is not None and all(value is not None for value in inputs):
            known[eqn.outvars[0]] = np.asarray(rule(eqn.params, *inputs))


def _inner(eqn: Any) -> Iterator[ClosedJaxpr]:
    for value in eqn.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part
            elif isinstance(part, Jaxpr) and not part.constvars:
                yield ClosedJaxpr(part, ())


def _small(value: Any) -> np.ndarray | None:
    """An index known to Python, or an array of a few of them."""
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", None)
    if dtype is None:
        return np.asarray(value) if isinstance(value, bool | int) else None
    wanted = np.issubdtype(dtype, np.integer) or dtype == np.bool_
    return np.asarray(value) if wanted and int(np.prod(shape)) <= 64 else None


def _value(variable: Any, known: _Known) -> np.ndarray | None:
    return _small(variable.val) if isinstance(variable, Literal) else known.get(variable)


def _slice_starts(eqn: Any, inputs: list) -> Iterator[tuple[int, tuple[int, ...]]]:
    shape = eqn.invars[0].aval.shape
    for start, size, taken in zip(inputs[1:], shape, eqn.params["slice_sizes"], strict=True):
        if start is not None and not 0 <= start <= size - taken:
            yield _written(int(start), size), shape


def _gathered(eqn: Any, inputs: list) -> Iterator[tuple[int, tuple[int, ...]]]:
    shape, indices = eqn.invars[0].aval.shape, inputs[1]
    if indices is None or "FILL" in str(eqn.params["mode"]):  # asked for in so many words
        return
    for column, axis in enumerate(eqn.params["dimension_numbers"].start_index_map):
        last = shape[axis] - eqn.params["slice_sizes"][axis]
        wrong = [int(i) for i in np.ravel(indices[..., column]) if not 0 <= i <= last]
        yield from ((_written(i, shape[axis]), shape) for i in wrong)


def _written(index: int, size: int) -> int:
    """The index as its author wrote it: negative ones are traced with the size added."""
    return index - size if index < 0 else index


def _broadcast(params: dict, x: np.ndarray) -> np.ndarray:
    shape = [1] * len(params["shape"])
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = size
    return np.broadcast_to(x.reshape(shape), params["shape"])


_CHECKS: dict[str, Callable] = {"dynamic_slice": _slice_starts, "gather": _gathered}
_RULES: dict[str, Callable] = {
    "lt": lambda _, x, y: x < y,
    "add": lambda _, x, y: x + y,
    "select_n": lambda _, which, no, yes: np.where(which, yes, no),
    "convert_element_type": lambda params, x: x.astype(params["new_dtype"]),
    "broadcast_in_dim": _broadcast,
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "squeeze": lambda params, x: np.squeeze(x, params["dimensions"]),
    "concatenate": lambda params, *xs: np.concatenate(xs, params["dimension"]),
}
