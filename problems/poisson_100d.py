"""Poisson on the hundred-dimensional unit cube, u = |x|^2 / 33.47.

Laplace u = 200 / 33.47 with Dirichlet values from the solution, which is about one in the mean
square and whose best affine approximation is wrong by 2.2e-2; the equation of Dangel, Mueller and
Zeinhofer (NeurIPS 2024) on scrambled Sobol points. A quadratic function of a hundred variables has
5,050 coefficients, so that there are many points, of which a step takes 512. Units of a softplus
network are nearly quadratic where they bend; those of a tanh network are nearly odd.
"""

import jax.numpy as jnp

from pinn_ngd import Box, Problem, Residual, ResidualObjective, Sobol, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sum(x**2) / 33.47


def problem(
    *, width: int = 128, activation: str = "softplus", interior: int = 2000, boundary: int = 38000,
    boundary_weight: float = 100.0, ridge: float = 0.25, seconds: float = 300.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0,) * 100, (1.0,) * 100)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) - 200 / 33.47, Sobol(domain, interior), name="interior"
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            Sobol(domain.boundary(), boundary, seed=1),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="poisson-100d",
        description="Poisson on the hundred-dimensional cube, shallow softplus network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(
            (100, width, 1), key=key, domain=domain, scale=ridge, activation=activation
        ),
        domain=domain,
        evaluation=Sobol(domain, 4096, seed=2).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
