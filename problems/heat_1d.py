"""Heat equation in one space dimension, u = exp(-pi^2 t / 4) sin(pi x).

u_t = u_xx / 4 on (0, 1) x (0, 1), initial value sin(pi x), u = 0 at both ends; space and time
together on Gauss-Legendre points.
"""

import jax.numpy as jnp

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP


def exact(x):
    return jnp.exp(-(jnp.pi**2) * x[0] / 4) * jnp.sin(jnp.pi * x[1])


def problem(
    *, width: int = 24, depth: int = 3, points: int = 24, boundary_weight: float = 100.0,
    ridge: float = 2.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 1.0))
    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) - spatial_laplacian(u)(x) / 4,
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            GaussLegendre(domain.initial(), points),
            boundary_weight,
            "initial",
        ),
        Residual(
            lambda u, x: u(x), GaussLegendre(domain.lateral(), points), boundary_weight, "lateral"
        ),
    ]
    sizes = (2, *(width,) * depth, 1)
    return Problem(
        name="heat-1d",
        description="heat equation in space-time, plain tanh network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
    )
