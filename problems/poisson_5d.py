"""Poisson on the five-dimensional unit cube, u = sum of cos(pi x_i).

-Laplace u = f with Dirichlet values from the solution; a shallow tanh network whose ridges point in
random directions (nothing in it knows that the solution is a sum), on scrambled Sobol points.
"""

import jax.numpy as jnp

from pinn_ngd import Box, Problem, Residual, ResidualObjective, Sobol, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sum(jnp.cos(jnp.pi * x))


def problem(
    *, width: int = 128, interior: int = 4096, boundary: int = 1024, boundary_weight: float = 100.0,
    ridge: float = 1.0, seconds: float = 100.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0,) * 5, (1.0,) * 5)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x),
            Sobol(domain, interior),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            Sobol(domain.boundary(), boundary, seed=1),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="poisson-5d",
        description="Poisson on the five-dimensional cube, shallow tanh network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((5, width, 1), key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=Sobol(domain, 16384, seed=2).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
