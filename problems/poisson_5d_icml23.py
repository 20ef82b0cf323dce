"""Poisson on the five-dimensional cube with the network and points of the ENGD paper (5-64-1).

Mueller and Zeinhofer, ICML 2023, Section 4.1: u = sum of sin(pi x_i), 4,000 interior and 500
boundary points drawn uniformly; weights and biases from N(0, 0.1^2). Their script compiles the
first sample into the loss, so the points are fixed here too (`resampled=True` draws fresh ones).
"""

import jax.numpy as jnp

from pinn_ngd import Box, MonteCarlo, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sum(jnp.sin(jnp.pi * x))


def problem(
    *, width: int = 64, scale: float = 0.1, resampled: bool = False, seconds: float = 120.0
) -> Problem:
    domain = Box((0.0,) * 5, (1.0,) * 5)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x),
            MonteCarlo(domain, 4000, resampled=resampled),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            MonteCarlo(domain.boundary(), 500, seed=1, resampled=resampled),
            name="boundary",
        ),
    ]
    return Problem(
        name="poisson-5d-icml23",
        description="Poisson on the five-dimensional cube, setting of the ENGD paper",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((5, width, 1), key=key, init="normal", scale=scale),
        domain=domain,
        evaluation=MonteCarlo(domain, 40_000, seed=2, resampled=False).quadrature(),
        exact=exact,
        seconds=seconds,
        fixed_points=True,
    )
