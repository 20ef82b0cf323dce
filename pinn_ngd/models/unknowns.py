"""Unknown coefficients that keep their sign or stay between bounds, whatever the optimizer does."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _tree


class AbstractUnknown(eqx.Module):
    """A coefficient c = transform(raw); `raw`, a number, an array or a network, is trained.

    Numbers and arrays are read as `.value`, a field at a point is called: `u.k.value`, `u.k(x)`.
    Because `raw` is an ordinary leaf of the model, every optimizer trains it, and error bars of
    `.value` come through the derivative of the transformation.
    """

    raw: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def transform(self, raw: Array) -> Array:
        """The coefficient that belongs to an unconstrained number."""

    @property
    def value(self) -> Float[Array, "..."]:
        """The number or array; raises TypeError for a field, which has a value at a point only."""
        if callable(self.raw):
            raise TypeError("this unknown is a field: call it at a point x, `u.k(x)`.")
        return self.transform(self.raw)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        """The value of an unknown field at a point; a number is the same at all of them."""
        raw: Any = self.raw(x) if callable(self.raw) else self.raw
        return self.transform(raw)


class Positive(AbstractUnknown):
    """c = exp(raw) > 0, an unknown number, array or field.

    `Positive(2.0)` starts from 2; `Positive(network)` is the field x -> exp(network(x)). An error
    bar of `raw` is a relative one of c: c is between c exp(-2 s) and c exp(2 s).

    Raises ValueError for a start that is not positive and finite.
    """

    raw: Any

    def __init__(self, start: Any):
        self.raw = start if _is_field(start) else jnp.log(_numbers(start, 0.0, np.inf))

    def transform(self, raw: Array) -> Array:
        return jnp.exp(raw)


class Bounded(AbstractUnknown):
    """c = lower + (upper - lower) / (1 + exp(-raw)) between two bounds: a number, array or field.

    `Bounded(0.3, 0.0, 1.0)` starts from 0.3; `Bounded(network, 0.0, 1.0)` is a field. Where data
    push c to a bound, raw runs away and the error bar of c becomes zero: choose bounds that mean
    something.

    Raises ValueError for bounds that are not finite or not in order, and a start not between them.
    """

    raw: Any
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def __init__(self, start: Any, lower: float, upper: float):
        self.lower, self.upper = float(lower), float(upper)
        if not (np.isfinite([self.lower, self.upper]).all() and self.lower < self.upper):
            raise ValueError(
                f"`lower` = {lower} and `upper` = {upper} bound nothing: give two finite numbers, "
                "the smaller first; for a lower bound of zero alone take `Positive`."
            )
        if _is_field(start):
            self.raw = start
        else:
            number = _numbers(start, self.lower, self.upper)
            self.raw = jnp.log((number - self.lower) / (self.upper - number))

    def transform(self, raw: Array) -> Array:
        return self.lower + (self.upper - self.lower) * jax.nn.sigmoid(raw)


class WithUnknowns(eqx.Module):
    """A solution and the unknowns of its equation, which are known by their names.

        model = WithUnknowns(network, k=Positive(1.0), source=MLP((2, 10, 1), key=key))

    The model is a function of a point, that of its first argument, so that errors, estimates and
    pictures are those of the solution. `u.k`, `u.source` are the others, in every term. Numbers,
    lists of them and NumPy's arrays become arrays of JAX, which are trained.

    Raises ValueError for an unknown without a number that could be trained.
    """

    solution: Callable
    unknowns: dict[str, Any]

    def __init__(self, solution: Callable, **unknowns: Any):
        self.solution = solution
        self.unknowns = {name: _as_leaf(unknown) for name, unknown in unknowns.items()}
        for name, unknown in self.unknowns.items():
            if not jax.tree.leaves(unknown):
                raise ValueError(
                    f"`{name}` is {unknown!r}, which holds no number: give an array, a network, or "
                    "`Positive(...)` of one."
                )

    def __call__(self, x: Float[Array, " d"]) -> Any:
        return self.solution(x)

    def __getattr__(self, name: str) -> Any:
        unknowns = self.__dict__.get("unknowns", {})
        if name not in unknowns:
            raise AttributeError(
                f"this model has no unknown '{name}': it has {', '.join(unknowns) or 'none'}."
            )
        return unknowns[name]


def _is_field(start: Any) -> bool:
    return callable(start) and bool(_tree.size(start))


def _as_leaf(unknown: Any) -> Any:
    is_number = isinstance(unknown, float | int | list | tuple | np.ndarray | np.generic)
    return jnp.asarray(unknown, jnp.result_type(float)) if is_number else unknown


def _numbers(start: Any, lower: float, upper: float) -> Array:
    """A start as an array; ValueError where it is not strictly between the bounds."""
    found = np.asarray(start)
    if found.dtype.kind not in "iuf" or not np.all((lower < found) & (found < upper)):
        between = "positive and finite" if upper == np.inf else f"between {lower} and {upper}"
        raise ValueError(
            f"`start` = {start!r} is not {between}: start an unknown inside of its bounds."
        )
    return jnp.asarray(found, jnp.result_type(float))
