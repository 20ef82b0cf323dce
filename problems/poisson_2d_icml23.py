"""Poisson on the unit square, network and points of the ENGD paper (2-32-1, 129 parameters).

Mueller and Zeinhofer, ICML 2023, Section 4.1: 28 x 28 interior and 116 boundary points,
equispaced; weights and biases drawn from N(0, 0.1^2).
"""

import jax.numpy as jnp

from pinn_ngd import Box, Equispaced, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def problem(*, width: int = 32, scale: float = 0.1, seconds: float = 20.0) -> Problem:
    domain = Box((0.0, 0.0), (1.0, 1.0))
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + 2 * jnp.pi**2 * exact(x),
            Equispaced(domain, 28),
            name="interior",
        ),
        Residual(lambda u, x: u(x), Equispaced(domain.boundary(), 29, "left"), name="boundary"),
    ]
    return Problem(
        name="poisson-2d-icml23",
        description="Poisson on the unit square, network and points of the ENGD paper",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((2, width, 1), key=key, init="normal", scale=scale),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
        fixed_points=True,
    )
