"""Fit the means of twenty Gaussians, 40 parameters, by a natural gradient of the density.

rho_theta = 1/20 sum of N(mu_k, 0.3 I) on [0, 10]^2; the data are such a mixture with other means.
The derivative comes from automatic differentiation (published curves for this case used a Jacobian
of another covariance than the model's and are no reference).
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from pinn_ngd import Box, GaussLegendre, Grid, PointwiseState, Problem, StateMisfit

VARIANCE = 0.3


class Mixture(eqx.Module):
    """Equal weights, `means` of shape (k, 2)."""

    means: jax.Array

    def __call__(self, x):
        squares = jnp.sum((x - self.means) ** 2, axis=1)
        return jnp.mean(jnp.exp(-squares / (2 * VARIANCE))) / (2 * jnp.pi * VARIANCE)


def _means(key, components):
    return jax.random.uniform(key, (components, 2), minval=2.0, maxval=8.0)


def problem(
    *, components: int = 20, points: int = 70, distance: float = 0.5, seconds: float = 20.0
) -> Problem:
    """`distance` is the standard deviation of the starting means around those of the data."""
    domain = Box((0.0, 0.0), (10.0, 10.0))
    grid = Grid(domain, (points, points), "dirichlet")
    exact = Mixture(_means(jax.random.key(100), components))
    target, weight = PointwiseState(grid)(exact), grid.cell_volume**0.5

    def start(key):
        return Mixture(exact.means + distance * jax.random.normal(key, exact.means.shape))

    return Problem(
        name="gaussian-mixture-20",
        description="the means of twenty Gaussians",
        objective=StateMisfit(PointwiseState(grid), lambda rho: (rho - target) * weight),
        model=start,
        domain=domain,
        evaluation=GaussLegendre(domain, 60).quadrature(None),
        exact=exact,
        optimizer="wngd",
        optimizer_settings={"norm_limit": 1.0},
        seconds=seconds,
    )
