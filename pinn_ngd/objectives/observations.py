"""Measurements with noise as terms of a loss, each weighed by its own variance."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import Points
from .residual import Residual
from .sites import extras_of
from .terms import check_arguments

Observable = Callable[..., Any]


class Misfit(eqx.Module):
    """(u, x, value) -> (of(u, x) - measured) / sigma, with `value` the pair (measured, 1 / sigma).

    What is stored is 1 / sigma, so that points that only fill up a chunk count zero.
    """

    of: Observable

    def __call__(self, u: Any, x: Array, value: Array) -> Array:
        return _standardized_at(self.of(u, x), value)


class NormalMisfit(eqx.Module):
    """The same for an observable that asks for the normal, such as a flux."""

    of: Observable

    def __call__(self, u: Any, x: Array, normal: Array, value: Array) -> Array:
        return _standardized_at(self.of(u, x, normal=normal), value)


def _standardized_at(seen: Any, value: Array) -> Array:
    """(seen - measured) / sigma; ValueError where as many numbers are not seen as measured."""
    seen, measured = jnp.asarray(seen), value[0]
    if seen.size != measured.size:
        raise ValueError(
            f"`of` of a `Data` term returns {seen.size} numbers at a point where {measured.size} "
            "were measured: let it return those, such as `lambda u, x: u(x)[0]`."
        )
    return (seen.reshape(measured.shape) - measured) * value[1]


def value_of(u: Any, x: Array) -> Any:
    """The observable that is measured where nothing else is said: the solution at the point."""
    return u(x)


def Data(
    points: Any,
    values: Any,
    sigma: Any,
    of: Observable = value_of,
    *,
    normals: Any = None,
    name: str = "data",
) -> Residual:
    """Measurements as a term: 1/2 sum_i |of(u, x_i) - values_i|^2 / sigma_i^2 in the loss.

    `points` (n, d), or (n,) on a line, are where `values` (n,) or (n, k) were measured, with noise
    of standard deviation `sigma`: one number, one a point (n,), or one a value (n, k). The term is
    the negative logarithm of the likelihood of independent normal noise. So it needs no weight, and
    `validation.posterior` gives error bars as it stands.

    `of(u, x)` is what the instrument measures, any function of the model and ONE point: `u(x)` by
    default, one component `u(x)[0]`, a derivative, an integral
    `rule.quadrature().integrate(lambda y: u(...))`. `of(u, x, normal)` gets the unit normal, from
    `normals`. A single number that belongs to no point, such as what is known beforehand of an
    unknown coefficient, is measured at `points=None`: `Data(None, 1.2, 0.3, lambda u, x: u.k)`.

    Raises ValueError for values that are missing or not finite, a `sigma` that is not positive,
    shapes that do not fit each other and an `of` with other arguments.
    """
    measured = np.asarray(values)
    if points is None:
        points, measured = np.zeros((1, 1)), measured[None]
    if measured.dtype.kind in "iu":  # 1 / sigma, which is kept beside them, is no whole number
        measured = measured.astype(float)
    kind = Misfit if "normal" not in extras_of(of) else NormalMisfit
    check_arguments(
        of, "of(u, x)", f"`of` of the term '{name}'", ("normal",) if kind is NormalMisfit else ()
    )
    _check_values(measured, name)
    precision = 1 / _deviations(sigma, measured, name)
    rule = Points(
        points,
        np.ones(len(measured)),
        normals=normals,
        values=np.stack([measured, precision.astype(measured.dtype)], axis=1),
    )
    return Residual(kind(of), rule, 1.0, name)


def split_data(
    data: Residual, fraction: float = 0.2, *, seed: int = 0
) -> tuple[Residual, Residual]:
    """Data in two terms: one to train on, and about `fraction` of it that training never sees.

    What a model makes of the second, `chi_squared(held_out, model)`, tells whether it has learned
    more than the noise of the first. The points are drawn at random, from `seed`.

    Raises ValueError for a term that is no `Data`, and a fraction that leaves one part empty.
    """
    rule = _rule_of(data)
    count = rule.size
    held = round(fraction * count)
    if not 0 < held < count:
        raise ValueError(
            f"`fraction` = {fraction} of {count} measurements are {held}: take a part of them that "
            "is neither nothing nor all."
        )
    order = np.random.default_rng(seed).permutation(count)
    test, training = np.sort(order[:held]), np.sort(order[held:])
    return _part(data, training, data.name), _part(data, test, f"held-out {data.name}")


def chi_squared(data: Residual, model: PyTree) -> float:
    """The mean of |of(u, x_i) - values_i|^2 / sigma_i^2 over all measured numbers.

    It is one, up to sqrt(2 / n), where the model is right and sigma is the noise. On data that a
    model was fitted to it lies below, by as many numbers as the data determine; far above one the
    model misses what was measured, or sigma is too small.

    Raises ValueError for a term that is no `Data`.
    """
    rule = _rule_of(data)
    squares = jnp.abs(_standardized(data, model)) ** 2
    assert rule.values is not None
    return float(jnp.sum(squares)) / rule.values[:, 0].size


def is_data(term: Any) -> bool:
    """Whether a term was made by `Data`, so that its squares have variance one."""
    return isinstance(getattr(term, "fn", None), Misfit | NormalMisfit)


@eqx.filter_jit
def _standardized(data: Residual, model: PyTree) -> Float[Array, "n *k"]:
    return jax.vmap(lambda site: data.value(model, site))(data.sites(data.rule.quadrature()))


def _rule_of(data: Residual) -> Points:
    if not is_data(data):
        raise ValueError(
            f"the term '{getattr(data, 'name', data)}' is no measurement with a known noise: make "
            "it with `Data(points, values, sigma)`."
        )
    assert isinstance(data.rule, Points)
    return data.rule


def _part(data: Residual, chosen: np.ndarray, name: str) -> Residual:
    rule = _rule_of(data)
    values, normals = rule.values, rule.normals
    assert values is not None
    part = Points(
        rule.points[chosen],
        rule.weights[chosen],
        normals=None if normals is None else normals[chosen],
        values=values[chosen],
    )
    return Residual(data.fn, part, data.weight, name)


def _check_values(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "iufc" or values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(
            f"`values` of the term '{name}' have shape {values.shape} and dtype {values.dtype}: "
            "give one number, or one row of numbers, for each point."
        )
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise ValueError(
            f"`values` of the term '{name}' hold {wrong.sum()} numbers that are not finite, the "
            f"first in row {int(np.argwhere(wrong)[0, 0])}: leave those measurements out."
        )


def _deviations(sigma: Any, values: np.ndarray, name: str) -> np.ndarray:
    """`sigma` as an array like `values`."""
    found = np.asarray(sigma)
    owner = f"`sigma` of the term '{name}'"
    if found.dtype.kind not in "iuf" or not np.all(np.isfinite(found) & (found > 0)):
        raise ValueError(
            f"{owner} is {sigma!r}: the standard deviation of the noise is positive and finite; "
            "where data are exact give the size of their rounding error."
        )
    if found.shape not in ((), values.shape[:1], values.shape):
        raise ValueError(
            f"{owner} has shape {found.shape}, but the values have {values.shape}: give one number"
            ", one for every point, or one for every value."
        )
    found = found.reshape(found.shape + (1,) * (values.ndim - found.ndim))
    return np.broadcast_to(found, values.shape).astype(float)
