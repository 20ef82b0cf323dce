"""Derivatives beyond gradient, divergence and Laplacian: of tensors, mixed ones, higher orders.

As in `calculus` every operator takes u: (d,) -> () or (k,) and returns a function of x, and the
derivatives are forward mode, because a reverse sweep over the parameters goes around them.
"""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from .calculus import Field, directional_derivative, laplacian


def jacobian(v: Field) -> Field:
    """The matrix d v_i / d x_j: (k, d) for v with k components, (d,) for a scalar v.

    By forward mode, one sweep a coordinate; `gradient` is the reverse sweep, cheaper for a scalar.
    """

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return jax.jacfwd(v)(x)

    return value


def hessian(u: Field) -> Field:
    """The matrix d^2 u / d x_i d x_j: (d, d) for scalar u, (k, d, d) for u with k components."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return jax.jacfwd(jax.jacfwd(u))(x)

    return value


def derivative(u: Field, *axes: int) -> Field:
    """The derivative of u along each of the axes in turn: `derivative(u, 0, 0)` is u_tt where t is
    first, `derivative(u, 0, 1)` a mixed one. Raises ValueError without axes or outside of x."""
    if not axes:
        raise ValueError("`axes` is empty: name the coordinates, as in derivative(u, 0, 1).")

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        _check_axes(axes, x.shape[0])
        units = jnp.eye(x.shape[0], dtype=x.dtype)
        return reduce(lambda f, axis: directional_derivative(f, units[axis]), axes, u)(x)

    return value


def second_time_derivative(u: Field) -> Field:
    """d^2 u / dt^2, where t = x[0]."""
    return derivative(u, 0, 0)


def curl(v: Field) -> Field:
    """curl v: the vector (3,) in space, the scalar d v_2 / d x_1 - d v_1 / d x_2 in the plane.

    Raises ValueError unless v maps 2 or 3 coordinates to as many components.
    """

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        j = jacobian(v)(x)
        if j.shape not in ((2, 2), (3, 3)):
            raise ValueError(
                f"`v` maps {x.shape[0]} coordinates to values of shape {j.shape[:-1]}: a curl "
                "needs 2 or 3 coordinates and as many components."
            )
        skew = j - j.T
        return skew[1, 0] if x.shape[0] == 2 else jnp.stack([skew[2, 1], skew[0, 2], skew[1, 0]])

    return value


def tensor_divergence(sigma: Field) -> Field:
    """(div sigma)_i = sum_j d sigma_ij / d x_j of a tensor field sigma: (d,) -> (k, d), row by row.

    In elasticity and in flows: the force of a stress. Raises ValueError unless the last axis of
    sigma(x) has one entry for every coordinate.
    """

    def value(x: Float[Array, " d"]) -> Inexact[Array, " k"]:
        slopes = jax.jacfwd(sigma)(x)
        if slopes.ndim != 3 or slopes.shape[1] != slopes.shape[2]:
            raise ValueError(
                f"`sigma` maps {x.shape[0]} coordinates to values of shape {slopes.shape[:-1]}: a "
                "tensor field has values of shape (k, d), a row of d entries for each component."
            )
        return jnp.trace(slopes, axis1=1, axis2=2)

    return value


def symmetric_gradient(v: Field) -> Field:
    """The strain (J + J^T) / 2 of a displacement, or the rate of strain of a velocity, (d, d)."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "d d"]:
        j = jacobian(v)(x)
        return 0.5 * (j + j.T)

    return value


def biharmonic(u: Field) -> Field:
    """The Laplacian of the Laplacian: the equation of a plate, and u'''' of a beam."""
    return laplacian(laplacian(u))


def _check_axes(axes: Sequence[int], d: int) -> None:
    if any(not 0 <= axis < d for axis in axes):
        raise ValueError(f"`axes` = {tuple(axes)} are not among the {d} coordinates of x.")
