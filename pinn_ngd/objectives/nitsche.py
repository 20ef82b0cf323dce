"""Dirichlet values of energies by Nitsche's method."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..geometry.calculus import normal_derivative
from .energy import Energy


def _normal_derivative(u: Callable, x: Float[Array, " d"], normal: Float[Array, " d"]) -> Any:
    return normal_derivative(u)(x, normal)


def nitsche(
    rule: Any,
    value: Any,
    beta: int | float,
    *,
    flux: Callable[..., Any] = _normal_derivative,
    flux_of: PyTree = None,
    name: str = "Nitsche",
) -> Energy:
    """A term of an energy that prescribes u = value on a part of the boundary.

    To integral of (a |grad u|^2 / 2 - f u) Nitsche (1971) adds

        integral over the boundary of  beta (u - g)^2 / 2 - q (u - g),    q = a du/dn,

    so that its minimizer solves the problem exactly, for every `beta`: a penalty without q leaves
    the error q / beta at the boundary, however well it is trained. `value` g is a number or a
    function of the point, `rule` is on a boundary, and `flux(u, x, normal)` is q, du/dn by default.

    `flux_of=None` takes the flux of u itself. This energy is convex only where beta is larger than
    the steepness which u can have at the boundary,

        beta > max over v of (boundary integral of (a dv/dn)^2) / (integral of a |grad v|^2),

    p^2 / h for polynomials of degree p on cells of size h. A network has no such bound: below it,
    training runs away to minus infinity. In features (u, q) the density has the Hessian
    [[beta, -1], [-1, 0]], which is never positive, so that the metric keeps its positive part, and
    steps converge linearly.

    `flux_of=model` takes the flux of another model, as that of the last round of training. The
    density is convex in u then and nothing can run away, whatever beta. Rounds that start with the
    model of the one before converge to the solution: an error with the flux k times its value, k
    the eigenvalue of the Dirichlet-to-Neumann map, becomes k / (beta + k) times as large in each
    (the method of multipliers). What the error estimate of a run knows is the error in its round.

    Raises ValueError for `beta` that is not positive, and, where training starts, for a rule
    without normals.
    """
    if not isinstance(beta, int | float) or not 0 < beta < float("inf"):
        raise ValueError(
            f"`beta` = {beta!r} of the term '{name}' is no positive number: give one, such as 100 "
            "over the size of the domain."
        )
    features = _ValueAndFlux(flux, flux_of)
    return Energy(_Density(value, float(beta), flux_of is not None), rule, features, name=name)


class _ValueAndFlux(eqx.Module):
    """u and the flux at a point, one behind the other."""

    flux: Callable[..., Any]
    flux_of: PyTree

    def __call__(self, u: Callable, x: Array, normal: Array) -> Array:
        if self.flux_of is None:
            q = self.flux(u, x, normal)
        else:
            q = jax.lax.stop_gradient(self.flux(self.flux_of, x, normal))
        return jnp.concatenate([jnp.ravel(u(x)), jnp.ravel(q)])


class _Density(eqx.Module):
    """beta |u - g|^2 / 2 - q (u - g)."""

    value: Any
    beta: float
    lagged: bool = eqx.field(static=True, default=False)

    def __call__(self, x: Array, features: Array) -> Array:
        found, q = jnp.split(features, 2)
        q = jax.lax.stop_gradient(q) if self.lagged else q
        value: Any = self.value(x) if callable(self.value) else self.value
        gap = found - value
        return jnp.sum(self.beta * gap**2 / 2 - q * gap)
