"""Relative errors of a model against an exact solution, on held-out quadrature points."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..objectives import check_indices, explained
from ..objectives.rows import map_points
from .host_function import HostFunction, traceable

CHUNK = 2048  # points whose derivatives are in memory at once

Exact = Callable[[Array], Array]


@runtime_checkable
class Points(Protocol):
    """Points of shape (n, d) with weights (n,), e.g. `pinn_ngd.geometry.Quadrature`."""

    @property
    def points(self) -> Float[Array, "n d"]: ...

    @property
    def weights(self) -> Float[Array, " n"]: ...


def relative_l2(model: PyTree, exact: Exact, quadrature: Points) -> float:
    """Relative error |u - u*| / |u*| in L2.

    |v|^2 = sum_i w_i |v(x_i)|^2 over the quadrature; u and u* map (d,) to () or (k,), real or
    complex. Raises ValueError where the norm of the exact solution is zero or not finite, or the
    shapes differ.
    """
    return evaluator(exact, quadrature)(model)["relative_l2"]


def relative_h1(model: PyTree, exact: Exact, quadrature: Points) -> float:
    """Relative error in the full H1 norm, |v|^2 = sum_i w_i (|v(x_i)|^2 + |grad v(x_i)|^2).

    The gradient is taken by forward mode over all coordinates, chunk by chunk, so memory does not
    grow with the number of points. Raises as `relative_l2`.
    """
    return evaluator(exact, quadrature, h1=True)(model)["relative_h1"]


def evaluator(
    exact: Exact, quadrature: Points, *, h1: bool = False, components: Sequence[str] = ()
) -> "Evaluator":
    """A function model -> {"relative_l2": ...}, with "relative_h1" too if `h1`.

    Of a solution with several components it also has the error |u_i - u_i*| / |u_i*| of every
    one as "relative_l2_NAME", with the names of `components` or 1, 2, ...; a component that is zero
    up to rounding has no relative error and is left out.

    The norms of the exact solution are computed here, once; the error is compiled at the first
    call and reused for every model of the same structure. An `exact` written with NumPy is run by
    Python, and has no H1 error. Raises as `relative_l2`, and ValueError for names that are not one
    for every component, all different, and made of letters, digits and underscores.
    """
    return Evaluator(exact, quadrature, h1=h1, components=components)


def check_components(names: Sequence[str]) -> None:
    """ValueError unless the names differ and are made of letters, digits and underscores."""
    fine = not isinstance(names, str) and all(isinstance(name, str) for name in names)
    fine = fine and all(re.fullmatch(r"\w+", name) for name in names)
    if not fine or len(set(names)) < len(names):
        raise ValueError(
            f"`components` are {names!r}: give every component a name of its own, made of letters, "
            'digits and underscores, such as ("u", "v", "p").'
        )


class Evaluator:
    """Relative errors against one exact solution on the points of one quadrature."""

    def __init__(
        self,
        exact: Any,
        quadrature: Points,
        *,
        h1: bool = False,
        components: Sequence[str] = (),
    ):
        if not callable(exact):
            raise ValueError(
                f"`exact` is a {type(exact).__name__}: give a function of one point x, (d,)."
            )
        self.points, self.weights, self.h1 = quadrature.points, quadrature.weights, h1
        with explained("`exact`", self.points[0].shape):
            self.exact = traceable(exact, self.points[0])
        self.shape = _shape_at(self.exact, "`exact`", self.points[0])
        self.components = _names_of(components, math.prod(self.shape))
        if h1 and isinstance(self.exact, HostFunction):
            raise ValueError(
                "`exact` is written with NumPy, so its derivative and the H1 error are not known: "
                "write it with jax.numpy, or ask for the L2 error."
            )
        self.scale, self.sizes = _both_norms(self.exact, self.points, self.weights, h1)
        if not np.isfinite(self.scale).all():
            raise ValueError(self._not_finite())
        if not self.scale[0] > 0:
            raise ValueError(
                "`exact` has norm zero on the points of `quadrature`, so a relative error is not "
                "defined: report the absolute error, or pass points where the solution is not zero."
            )

    def __call__(self, model: PyTree) -> dict[str, float]:
        difference = _Difference(model, self.exact)
        errors, each = _both_norms(difference, self.points, self.weights, self.h1)
        totals = errors / self.scale
        found: dict[str, Any] = dict(zip(("relative_l2", "relative_h1"), totals, strict=False))
        least = np.finfo(self.sizes.dtype).eps * self.scale[0]
        for name, error, size in zip(self.components, each, self.sizes, strict=False):
            if size > least:
                found[f"relative_l2_{name}"] = error / size
        return {name: float(value) for name, value in found.items()}

    def check(self, model: PyTree) -> None:
        """ValueError where the model is no function of a point, or of another shape than `exact`.

        `train` asks before its first step.
        """
        if not callable(model):
            raise ValueError(
                f"`model` is a {type(model).__name__}, and no function of a point to compare with "
                "`exact`: give it a method `__call__(self, x)`."
            )
        _check_shapes(_shape_at(model, "`model`", self.points[0]), self.shape)

    def _not_finite(self) -> str:
        values = jax.vmap(lambda x: jnp.asarray(self.exact(x)))(self.points)
        wrong = ~jnp.isfinite(values.reshape(len(values), -1)).all(axis=1)
        i = int(jnp.argmax(wrong))
        what = np.asarray(values[i]) if wrong.any() else "or its gradient is not finite"
        return (
            f"`exact` is {what} at the point {np.asarray(self.points[i])} of `quadrature`: "
            "correct the solution there, or leave the point out."
        )


def _shape_at(function: Any, owner: str, point: Array) -> tuple[int, ...]:
    """The shape of a function's value at one point; ValueError where it cannot be called there."""
    arrays, static = eqx.partition(function, eqx.is_array)
    x = jax.ShapeDtypeStruct(point.shape, point.dtype)

    def value(arrays: PyTree, x: Any) -> Array:
        return jnp.asarray(eqx.combine(arrays, static)(x))

    with explained(owner, x.shape):
        traced = jax.make_jaxpr(value)(arrays, x)
    check_indices(traced, owner, x.shape)
    return traced.out_avals[0].shape


def _check_shapes(value: tuple[int, ...], target: tuple[int, ...]) -> None:
    if value != target:
        raise ValueError(
            f"`model` gives shape {value} and `exact` gives {target} at a point: "
            "let both return () for a scalar solution, or both (k,)."
        )


class _Difference(eqx.Module):
    """u - u*, refusing shapes that would broadcast into nonsense."""

    model: PyTree
    exact: Exact

    def __call__(self, x: Float[Array, " d"]) -> Array:
        value, target = jnp.asarray(self.model(x)), jnp.asarray(self.exact(x))
        _check_shapes(value.shape, target.shape)
        with jax.numpy_dtype_promotion("standard"):  # one of them may be real, the other complex
            return value - target


def _names_of(components: Sequence[str], count: int) -> tuple[str, ...]:
    """Names of the components of a solution that has several."""
    check_components(components)
    if components and len(components) != count:
        raise ValueError(
            f"`components` are {len(components)} names, and `exact` has {count} components: give "
            "one for each, in their order."
        )
    return tuple(components or map(str, range(1, count + 1))) if count > 1 else ()


def norms(function: Any, points: Array, weights: Array, h1: bool) -> tuple[float, ...]:
    """L2 norm of a function on points and weights; its H1 norm too if `h1`."""
    return tuple(float(norm) for norm in _both_norms(function, points, weights, h1)[0])


def norms_of_both(
    functions: tuple[Any, Any], points: Array, weights: Array
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """L2 and H1 norms of two functions that have much in common, which is computed once."""
    parts = _square_integrals(_Pair(functions), points, weights, True)
    each, slopes = (np.asarray(part).reshape(2, -1).sum(axis=1) for part in parts)
    both = np.sqrt(np.stack([each, each + slopes], axis=1))
    return tuple(map(float, both[0])), tuple(map(float, both[1]))


class _Pair(eqx.Module):
    """Two functions with as many components as one."""

    functions: tuple[Any, Any]

    def __call__(self, x: Float[Array, " d"]) -> Array:
        return jnp.stack([jnp.asarray(function(x)).ravel() for function in self.functions])


def _both_norms(
    function: Any, points: Array, weights: Array, h1: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The norms of `norms`, and the L2 norm of every component (k,)."""
    each, *slopes = map(np.asarray, _square_integrals(function, points, weights, h1))
    l2 = each.sum()
    return np.sqrt(np.stack([l2, *(l2 + slope.sum() for slope in slopes)])), np.sqrt(each)


@eqx.filter_jit
def _square_integrals(function: Any, points: Array, weights: Array, h1: bool) -> tuple[Array, ...]:
    """The squared L2 norms (k,) of the components, and those of their gradients if `h1`."""

    def squares(x: Array) -> tuple[Array, ...]:
        each = _squares(jnp.asarray(function(x)).ravel())
        if not h1:
            return (each,)
        slopes = _squares(jax.jacfwd(function)(x)).reshape(each.size, -1)
        return each, jnp.sum(slopes, axis=1)

    pointwise = map_points(squares, points, CHUNK)
    return tuple(jnp.tensordot(weights, square, 1) for square in pointwise)


def _squares(values: Array) -> Array:
    """|v|^2 of every entry."""
    if not jnp.iscomplexobj(values):
        return jnp.square(values)
    return jnp.square(values.real) + jnp.square(values.imag)
