"""Terms that a user wrote, traced once at one point before training: what fails has a name."""

import contextlib
import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from ..geometry.quadrature import Quadrature
from .bounds import out_of_range
from .weights import check_weights_at_points

MODEL_FIRST = "the model comes first, the point second"
# What JAX and Python say where a point is taken for an array of points.
BATCHED = re.compile(
    "out of bounds for array of dimension|not enough values to unpack|but is only|"
    "requires ndarray of at least|vmap was requested to map"
)
MANY = 8  # components from which on an equal number of points is no chance
ONE_POINT = "the function sees ONE point x of shape {shape}, so write x[0] where you mean x[:, 0]"


def list_of_terms(terms: Any, kind: type, owner: str) -> tuple[Any, ...]:
    """The terms of an objective; ValueError for a term alone, for none, and for other things."""
    name = kind.__name__.removeprefix("Abstract")
    if isinstance(terms, kind) or not isinstance(terms, Iterable):
        what = f"one {name}" if isinstance(terms, kind) else f"a {type(terms).__name__}"
        raise ValueError(f"`terms` is {what}: {owner} takes a list of terms, `[...]`.")
    terms = tuple(terms)
    if not terms:
        raise ValueError(f"`terms` is empty: {owner} needs at least one {name}.")
    wrong = [(number, term) for number, term in enumerate(terms) if not isinstance(term, kind)]
    for number, term in wrong[:1]:
        what = type(term).__name__
        raise ValueError(f"`terms[{number}]` is a {what}: {owner} takes {name} terms.")
    return terms


def check_arguments(fn: Any, wanted: str, owner: str, extras: tuple[str, ...] = ()) -> None:
    """TypeError for what is no function, ValueError for one of other arguments than `wanted`.

    `extras` are names that the function asks for besides.
    """
    if not callable(fn):
        msg = f"{owner} must be a function `{wanted}`, not a {type(fn).__name__}."
        raise TypeError(msg)
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return
    try:
        signature.bind(*[None] * (wanted.count(",") + 1), **dict.fromkeys(extras))
    except TypeError:
        more = " A residual may ask by name for `normal` and for `value` behind these."
        msg = (
            f"{owner} takes the arguments {signature}, but it is called as `{wanted}`: write a "
            f"function of these.{more if wanted.startswith('fn(u, x') else ''}"
        )
        raise ValueError(msg) from None


def check_term(
    name: str,
    value: Callable[[PyTree, Any], Any],
    model: PyTree,
    rule: Quadrature,
    weight: Any,
    sites: Any,
    *,
    fn: Callable[..., Any],
) -> None:
    """ValueError, which names the term, where `value(model, x)` cannot be a term at one point.

    `sites` are what `value` is called with: the points of the rule, with normals where asked for.
    `fn` is the user's own function of (model, x) in it. Errors of a user's code that have another
    reason get a note that names the term.
    """
    x = jax.ShapeDtypeStruct(rule.points.shape[1:], rule.points.dtype)
    owner = f"the term '{name}'"
    check_precision(model, x.dtype)
    try:
        with explained(owner, x.shape):
            traced = _traced(value, model, _one(sites))
    except Exception as error:
        _check_order(fn, model, x, owner, error)
        if owner not in str(error) and callable(model):
            _check_inputs(model, x, owner)
        raise
    check_indices(traced, owner, x.shape)
    _warn_of_all_values(traced, owner, len(rule.points))
    check_weights_at_points(weight, rule.points, name)


def _warn_of_all_values(traced: Any, owner: str, points: int) -> None:
    """Of a term that has at each point as many components as there are points: a closure over all
    measured values, which compares the model at each point with every one of them."""
    components = sum(math.prod(out.aval.shape) for out in traced.jaxpr.outvars)
    if components == points >= MANY:
        warnings.warn(
            f"{owner} returns {components} components at each of its {points} points: where these "
            "come of measured values, one a point, give the values to the points, "
            "`Points(places, values=measured)`, and take them as `fn(u, x, value)`.",
            UserWarning,
            stacklevel=4,
        )


def _traced(value: Callable[[PyTree, Any], Any], model: PyTree, x: Any) -> Any:
    arrays, static = eqx.partition(model, eqx.is_array)
    return jax.make_jaxpr(lambda a, x: value(eqx.combine(a, static), x))(arrays, x)


def _check_order(fn: Any, model: Any, x: Any, owner: str, error: Exception) -> None:
    """ValueError where a term can be traced as fn(x, model), and not as fn(model, x)."""
    if _can_be_traced(fn, model, x) or not _can_be_traced(lambda m, x: fn(x, m), model, x):
        return
    msg = f"{owner} has its arguments swapped ({_first_line(error)}): {MODEL_FIRST}."
    raise ValueError(msg) from error


def _can_be_traced(fn: Any, model: Any, x: Any) -> bool:
    try:
        _traced(fn, model, x)
    except Exception:  # whatever it is, the first error tells more
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")


def _one(sites: Any) -> Any:
    """The shapes of one of many."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), sites)


def _check_inputs(model: Any, x: Any, owner: str) -> None:
    """ValueError where the model cannot be called at a point: where it has other inputs."""
    try:
        _traced(lambda m, x: m(x), model, x)
    except Exception as error:
        msg = (
            f"the model cannot be called at a point x of shape {x.shape} of {owner} "
            f"({_first_line(error)}): give "
            f"it {x.shape[0]} inputs, one for every coordinate (time is one of them)."
        )
        raise ValueError(msg) from error


def check_indices(traced: Any, owner: str, shape: tuple[int, ...]) -> None:
    """ValueError where a traced function takes x[3] of three coordinates."""
    found = out_of_range(traced)
    if found is not None:
        index, of = found
        msg = (
            f"{owner} takes the entry {index} of an array of shape {of}, and JAX would put the "
            f"nearest one there without a word: correct the index (a point x has shape {shape})."
        )
        raise ValueError(msg)


def check_precision(model: PyTree, dtype: Any) -> None:
    """ValueError where a parameter has not the precision of the points, by its path."""
    params = eqx.filter(model, eqx.is_inexact_array)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if leaf.dtype != dtype:
            msg = (
                f"`model{jax.tree_util.keystr(path)}` is {leaf.dtype}, but the points are {dtype}: "
                f"a parameter must have their precision, so make it with `dtype=jnp.{dtype}`, or "
                'build the model after `jax.config.update("jax_enable_x64", True)`.'
            )
            raise ValueError(msg)


@contextlib.contextmanager
def explained(owner: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Errors that come of points in a batch, or of swapped arguments, as one sentence."""
    try:
        yield
    except IndexError as error:
        msg = f"{owner} indexes too much ({error}): {ONE_POINT.format(shape=shape)}."
        raise ValueError(msg) from error
    except jax.errors.TracerArrayConversionError as error:
        msg = f"{owner} calls NumPy on a traced number: write jnp for np."
        raise ValueError(msg) from error
    except jax.errors.ConcretizationTypeError as error:
        msg = (
            f"{owner} needs the value of a traced number, for an `if` or for a function of Python: "
            "write `jnp.where` for `if`, and jnp for math."
        )
        raise ValueError(msg) from error
    except TypeError as error:
        if "object is not callable" in str(error) and "Tracer" in str(error):
            msg = f"{owner} calls a number ({error}): {MODEL_FIRST}."
            raise ValueError(msg) from error
        error.add_note(f"This was {owner}, traced at one point x of shape {shape}.")
        raise
    except Exception as error:
        if isinstance(error, ValueError) and BATCHED.search(str(error)):
            msg = f"{owner} fails ({_first_line(error)}): {ONE_POINT.format(shape=shape)}."
            raise ValueError(msg) from error
        if owner not in str(error):
            error.add_note(f"This was {owner}, traced at one point x of shape {shape}.")
        raise
