"""A harmonic function on the ten-dimensional unit cube, u = (x1 x2 + x3 x4 + ... + x9 x10) / 1.34.

Laplace u = 0 with Dirichlet values from the solution, which is about one in the mean square; the
equation of Dangel, Mueller and Zeinhofer (NeurIPS 2024) with a shallow tanh network whose ridges
point in random directions (nothing in it knows of the products), on scrambled Sobol points.

`pinn-ngd solve poisson-10d --seed 100`, 60 s of training on one core of a busy two-core machine,
ends after 25 steps with a relative L2 error of 5e-6, and of 6.3e-8 corrected (estimated 7.3e-8).
"""

import jax.numpy as jnp

from pinn_ngd import Box, Problem, Residual, ResidualObjective, Sobol, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sum(x[0::2] * x[1::2]) / 1.34


def problem(
    *, width: int = 64, interior: int = 3000, boundary: int = 2000, boundary_weight: float = 100.0,
    ridge: float = 0.5, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0,) * 10, (1.0,) * 10)
    terms = [
        Residual(lambda u, x: laplacian(u)(x), Sobol(domain, interior), name="interior"),
        Residual(
            lambda u, x: u(x) - exact(x),
            Sobol(domain.boundary(), boundary, seed=1),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="poisson-10d",
        description="harmonic function on the ten-dimensional cube, shallow tanh network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((10, width, 1), key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=Sobol(domain, 16384, seed=2).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
