"""How wrong are computed eigenvalues? Bounds by residuals, for self-adjoint operators."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import AbstractRule, Quadrature


@dataclasses.dataclass(frozen=True)
class EigenvalueBounds:
    """Eigenvalues of a self-adjoint operator, ascending, with two bounds of their errors.

    `values` are the Rayleigh quotients of the computed functions and `residuals` the norms
    |L u - value u| / |u|: an eigenvalue lies within the residual of each value, whatever the
    function (Weinstein 1934). Where it is the only one near, the error is no more than
    `residuals**2 / gap` (Temple 1928, Kato 1949, doi:10.1143/JPSJ.4.334), with the distance to the
    nearest other eigenvalue as the gap: `errors` takes the smaller of the two. The gap is that of
    the computed values, without their residuals. The last one's upper neighbor is not known, so
    that its error is the residual: compute one more than you need.
    """

    values: np.ndarray
    residuals: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """A bound of the error of each value, absolute."""
        below = self.values - self.residuals
        above = self.values + self.residuals
        gaps = np.full(len(self.values), np.inf)
        gaps[1:] = self.values[1:] - above[:-1]
        gaps[:-1] = np.minimum(gaps[:-1], below[1:] - self.values[:-1])
        gaps[-1] = 0.0
        squared = np.divide(self.residuals**2, gaps, out=np.full(len(gaps), np.inf), where=gaps > 0)
        return np.minimum(self.residuals, squared)


def eigenvalue_bounds(
    operator: Callable[[Any, Array], Any], model: PyTree, rule: AbstractRule
) -> EigenvalueBounds:
    """Bounds of the errors of eigenvalues, from the residuals of the functions u = model.

    `operator(u, x)` is L u at one point, () or (k,) as the model returns: without boundary terms,
    so that the functions have to fulfill the boundary conditions. The bounds are as good as `rule`
    integrates the square of the residual: take more points than for training.
    """
    values, residuals = map(np.asarray, _quotients(operator, model, rule.quadrature()))
    order = np.argsort(values)
    return EigenvalueBounds(values[order], residuals[order])


@eqx.filter_jit
def _quotients(
    operator: Callable[[Any, Array], Any], model: PyTree, points: Quadrature
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Rayleigh quotients and norms of residuals, the latter not by a difference of integrals."""

    def both(x: Array) -> tuple[Array, Array]:
        return jnp.atleast_1d(model(x)), jnp.atleast_1d(operator(model, x))

    u, image = jax.vmap(both)(points.points)
    w = points.weights[:, None]
    norms = jnp.sum(w * u**2, axis=0)
    values = jnp.sum(w * u * image, axis=0) / norms
    return values, jnp.sqrt(jnp.sum(w * (image - values * u) ** 2, axis=0) / norms)
