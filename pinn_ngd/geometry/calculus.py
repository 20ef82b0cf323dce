"""Differential operators on functions u: (d,) -> () or (k,); each returns a function of x.

The values of u may be complex: derivatives are in the real coordinates.

Second derivatives are forward mode: the operators are called inside one reverse-mode derivative
with respect to the network's parameters (a row of the residual Jacobian), and a shallow stack of
transformations keeps that fast. In space-time the coordinates are x = (t, x_1, ..., x_d).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Literal, SupportsFloat, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import jet
from jaxtyping import Array, Float, Inexact

Field: TypeAlias = Callable[[Float[Array, " d"]], Any]
Direction: TypeAlias = Float[Array | np.ndarray, " d"] | Sequence[SupportsFloat]
LaplacianMethod: TypeAlias = Literal["forward", "hessian", "jet", "folx"]

# Sums over at most so many axes are Python loops: XLA then shares the primal, and a row of the
# residual Jacobian of a small network costs half of what `jax.vmap` over unit vectors makes it
# cost (a third with ten axes). With twenty axes both run alike, and the loop compiles longer.
_UNROLLED = 10


def gradient(u: Field) -> Field:
    """grad u: (d,) for scalar u; the Jacobian (k, d) for u with values (k,). One reverse sweep."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        y, pullback = jax.vjp(u, x)
        if jnp.iscomplexobj(y):  # a reverse sweep alone would return the real part
            return _by_parts(lambda part, x: gradient(part)(x), u, x)
        if y.ndim == 0:
            return pullback(jnp.ones_like(y))[0]
        return jax.vmap(pullback)(jnp.eye(y.shape[0], dtype=y.dtype))[0]

    return value


def spatial_gradient(u: Field) -> Field:
    """The gradient without the time derivative: (d - 1,), or (k, d - 1) for vector u."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return gradient(u)(x)[..., 1:]

    return value


def divergence(v: Field) -> Field:
    """div v = sum_i d v_i / d x_i of a vector field v: (d,) -> (d,).

    Raises ValueError if v(x) has not the shape of x.
    """

    def value(x: Float[Array, " d"]) -> Inexact[Array, ""]:
        def along(e: Array) -> Array:
            y, tangent = jax.jvp(v, (x,), (e,))
            if y.shape != x.shape:
                raise ValueError(
                    f"`v` maps x of shape {x.shape} to shape {y.shape}: no divergence. "
                    "Give a vector field with as many components as coordinates."
                )
            return jnp.dot(e.astype(tangent.dtype), tangent)

        return _sum_over_axes(along, x, tuple(range(x.shape[0])))

    return value


def directional_derivative(u: Field, direction: Direction) -> Field:
    """direction . grad u, by one Jacobian-vector product; `direction` is not normalized."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return jax.jvp(u, (x,), (jnp.asarray(direction, dtype=x.dtype),))[1]

    return value


def normal_derivative(u: Field) -> Callable[..., Any]:
    """(x, normal) -> normal . grad u(x); see `Face.normal` and `Boundary.normal_at`."""

    def value(x: Float[Array, " d"], normal: Direction) -> Inexact[Array, "..."]:
        return directional_derivative(u, normal)(x)

    return value


def time_derivative(u: Field) -> Field:
    """du/dt, where t = x[0]."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return jax.jvp(u, (x,), (_units(x, (0,))[0],))[1]

    return value


def laplacian(
    u: Field, method: LaplacianMethod = "forward", *, axes: Sequence[int] | None = None
) -> Field:
    """sum_{i in axes} d^2 u / d x_i^2, componentwise for vector u; all axes by default.

    * "forward": Jacobian-vector product of a Jacobian-vector product along every axis;
    * "hessian": trace of the full `jax.hessian`, the plain oracle;
    * "jet": second-order Taylor mode (Bettencourt, Johnson and Duvenaud 2019), one sweep an axis;
    * "folx": the forward Laplacian (Li et al. 2024, arXiv:2307.08214), one sweep for all axes;
      optional package.

    Raises ValueError for an unknown method or an axis out of range, ImportError without folx.
    """
    if method not in _METHODS:
        raise ValueError(f"`method` = {method!r} is unknown. Take one of {', '.join(_METHODS)}.")
    apply = _METHODS[method]

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        chosen = _checked_axes(x, axes)
        if method != "forward" and jnp.iscomplexobj(jax.eval_shape(u, x)):
            return _by_parts(lambda part, x: apply(part, x, chosen), u, x)
        return apply(u, x, chosen)

    return value


def spatial_laplacian(u: Field, method: LaplacianMethod = "forward") -> Field:
    """The Laplacian over all coordinates but the time x[0]; `method` as in `laplacian`."""

    def value(x: Float[Array, " d"]) -> Inexact[Array, "..."]:
        return laplacian(u, method, axes=range(1, x.shape[0]))(x)

    return value


def _checked_axes(x: Array, axes: Sequence[int] | None) -> tuple[int, ...]:
    d = x.shape[0]
    chosen = tuple(range(d)) if axes is None else tuple(axes)
    if not chosen or any(not 0 <= axis < d for axis in chosen) or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"`axes` = {chosen} does not choose among the {d} coordinates of x. "
            f"Give distinct axes from 0 to {d - 1}."
        )
    return chosen


def _by_parts(operator: Callable[[Field, Array], Array], u: Field, x: Array) -> Array:
    """A linear operator with real coefficients, on the real and the imaginary part of u."""
    return jax.lax.complex(operator(lambda y: u(y).real, x), operator(lambda y: u(y).imag, x))


def _units(x: Array, axes: tuple[int, ...]) -> Array:
    """Unit vectors (len(axes), d) in the dtype of x."""
    return jnp.asarray(np.eye(x.shape[0])[list(axes)], dtype=x.dtype)


def _sum_over_axes(term: Callable[[Array], Array], x: Array, axes: tuple[int, ...]) -> Array:
    units = _units(x, axes)
    if len(axes) > _UNROLLED:
        return jnp.sum(jax.vmap(term)(units), axis=0)
    return reduce(jnp.add, [term(e) for e in units])


def _forward(u: Field, x: Array, axes: tuple[int, ...]) -> Array:
    def second(e: Array) -> Array:
        return jax.jvp(lambda y: jax.jvp(u, (y,), (e,))[1], (x,), (e,))[1]

    return _sum_over_axes(second, x, axes)


def _hessian(u: Field, x: Array, axes: tuple[int, ...]) -> Array:
    index = np.asarray(axes)
    return jnp.sum(jax.hessian(u)(x)[..., index, index], axis=-1)


def _jet(u: Field, x: Array, axes: tuple[int, ...]) -> Array:
    def second(e: Array) -> Array:
        return jet.jet(u, (x,), ((e, jnp.zeros_like(x)),))[1][1]

    return _sum_over_axes(second, x, axes)


def _folx(u: Field, x: Array, axes: tuple[int, ...]) -> Array:
    try:
        import folx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "`method` = 'folx' needs the package folx, which is not installed. "
            "Run `pip install 'pinn-ngd[folx]'`, or take method='forward'."
        ) from error
    if len(axes) == x.shape[0]:
        return folx.forward_laplacian(u)(x).laplacian
    # No indexed update here: folx turns its float32 tangents into float64 ones under x64.
    units = _units(x, axes)
    origin = jnp.zeros(len(axes), dtype=x.dtype)
    return folx.forward_laplacian(lambda z: u(x + z @ units))(origin).laplacian


_METHODS: dict[str, Callable[[Field, Array, tuple[int, ...]], Array]] = {
    "forward": _forward,
    "hessian": _hessian,
    "jet": _jet,
    "folx": _folx,
}
