"""Small problems that every optimizer test shares, so that JAX compiles few programs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    Box,
    Energy,
    EnergyObjective,
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    laplacian,
)
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sin(jnp.pi * x[0])


def poisson_1d(points: int = 12) -> ResidualObjective:
    """-u'' = pi^2 sin(pi x), u = 0 at both ends of (0, 1)."""
    domain = Interval(0.0, 1.0)
    return ResidualObjective(
        [
            Residual(
                lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x), GaussLegendre(domain, points)
            ),
            Residual(lambda u, x: u(x), GaussLegendre(domain.boundary(), 1), 10.0, "boundary"),
        ]
    )


def ritz_1d(points: int = 20) -> EnergyObjective:
    """Energy of -u'' + u = (pi^2 + 1) cos(pi x) with natural boundary conditions."""

    def density(x, features):
        value, slope = features
        source = (jnp.pi**2 + 1) * jnp.cos(jnp.pi * x[0])
        return slope**2 / 2 + value**2 / 2 - source * value

    return EnergyObjective([Energy(density, GaussLegendre(Interval(0.0, 1.0), points))])


def network(width: int = 6, seed: int = 0, dimension: int = 1) -> MLP:
    domain = Box((0.0,) * dimension, (1.0,) * dimension)
    return MLP((dimension, width, 1), key=jax.random.key(seed), domain=domain)


def run(optimizer, model, objective, steps):
    batch = objective.batch()
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step) if optimizer.jittable else optimizer.step
    for _ in range(steps):
        model, state, info = step(model, state, objective, batch, key=jax.random.key(0))
    return model, info


def flat(model):
    return ravel_pytree(eqx.filter(model, eqx.is_inexact_array))[0]
