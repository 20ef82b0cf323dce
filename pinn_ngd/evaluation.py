"""Relative errors of a model against an exact solution, on held-out quadrature points."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

CHUNK = 2048  # points whose derivatives are in memory at once

Exact = Callable[[Array], Array]


@runtime_checkable
class Points(Protocol):
    """Points of shape (n, d) with weights (n,), e.g. `pinn_ngd.quadrature.Quadrature`."""

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
    exact: Exact, quadrature: Points, *, h1: bool = False
) -> Callable[[PyTree], dict[str, float]]:
    """A function model -> {"relative_l2": ...}, with "relative_h1" too if `h1`.

    The norms of the exact solution are computed here, once; the error is compiled at the first
    call and reused for every model of the same structure. Raises as `relative_l2`.
    """
    points, weights = quadrature.points, quadrature.weights
    scale = norms(exact, points, weights, h1)
    if not scale[0] > 0:
        raise ValueError(
            "`exact` has norm zero (or none) on the points of `quadrature`, so a relative error is "
            "not defined: report the absolute error, or pass points where the solution is not zero."
        )

    def evaluate(model: PyTree) -> dict[str, float]:
        errors = norms(_Difference(model, exact), points, weights, h1)
        return {name: errors[i] / scale[i] for i, name in enumerate(_names(h1))}

    return evaluate


class _Difference(eqx.Module):
    """u - u*, refusing shapes that would broadcast into nonsense."""

    model: PyTree
    exact: Exact

    def __call__(self, x: Float[Array, " d"]) -> Array:
        value, target = jnp.asarray(self.model(x)), jnp.asarray(self.exact(x))
        if value.shape != target.shape:
            raise ValueError(
                f"`model` gives shape {value.shape} and `exact` gives {target.shape} at a point: "
                "let both return () for a scalar solution, or both (k,)."
            )
        with jax.numpy_dtype_promotion("standard"):  # one of them may be real, the other complex
            return value - target


def _names(h1: bool) -> tuple[str, ...]:
    return ("relative_l2", "relative_h1") if h1 else ("relative_l2",)


def norms(function: Any, points: Array, weights: Array, h1: bool) -> tuple[float, ...]:
    """L2 norm of a function on points and weights; its H1 norm too if `h1`."""
    squares = _square_integrals(function, points, weights, h1)
    return tuple(float(jnp.sqrt(square)) for square in squares)


@eqx.filter_jit
def _square_integrals(function: Any, points: Array, weights: Array, h1: bool) -> tuple[Array, ...]:
    """The squared L2 norm of a function, and its squared H1 norm if asked for."""

    def squares(x: Array) -> tuple[Array, ...]:
        value = _square(function(x))
        if not h1:
            return (value,)
        return value, value + _square(jax.jacfwd(function)(x))

    many = len(points) > CHUNK
    pointwise = (
        jax.lax.map(squares, points, batch_size=CHUNK) if many else jax.vmap(squares)(points)
    )
    return tuple(jnp.sum(weights * square) for square in pointwise)


def _square(values: Any) -> Array:
    """The sum of |v|^2 over all components."""
    values = jnp.asarray(values)
    if not jnp.iscomplexobj(values):
        return jnp.sum(jnp.square(values))
    return jnp.sum(jnp.square(values.real)) + jnp.sum(jnp.square(values.imag))
