"""Heat equation with the network and points of the ENGD paper (2-64-1, 257 parameters).

Mueller and Zeinhofer, ICML 2023, Section 4.2: 28 x 28 interior points of the space-time square and
29 on the initial line and on each lateral side, equispaced; weights and biases from N(0, 0.1^2).
"""

import jax.numpy as jnp

from pinn_ngd import (
    Equispaced,
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


def problem(*, width: int = 64, scale: float = 0.1, seconds: float = 20.0) -> Problem:
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 1.0))
    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) - spatial_laplacian(u)(x) / 4,
            Equispaced(domain, 28),
            name="interior",
        ),
        Residual(lambda u, x: u(x) - exact(x), Equispaced(domain.initial(), 29), name="initial"),
        Residual(lambda u, x: u(x), Equispaced(domain.lateral(), 29), name="lateral"),
    ]
    return Problem(
        name="heat-1d-icml23",
        description="heat equation, network and points of the ENGD paper",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((2, width, 1), key=key, init="normal", scale=scale),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
        fixed_points=True,
    )
