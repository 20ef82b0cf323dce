"""Poisson on the unit square, u = sin(pi x) sin(pi y), to rounding error.

-Laplace u = f in (0, 1)^2, u = 0 on the boundary. A plain tanh network with three hidden layers,
Gauss-Legendre points, a boundary term weighted up. With more parameters than rows the loss has no
narrow valleys left: the step is the minimum-norm one and convergence is fast for every seed.
"""

import jax.numpy as jnp

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def problem(
    *, width: int = 28, depth: int = 3, points: int = 26, boundary_weight: float = 100.0,
    ridge: float = 2.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0, 0.0), (1.0, 1.0))
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + 2 * jnp.pi**2 * exact(x),
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x), GaussLegendre(domain.boundary(), points), boundary_weight, "boundary"
        ),
    ]
    sizes = (2, *(width,) * depth, 1)
    return Problem(
        name="poisson-2d",
        description="Poisson on the unit square, plain tanh network, to rounding error",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
    )
