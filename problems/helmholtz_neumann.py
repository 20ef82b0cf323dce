"""Helmholtz's equation -Laplace u = k^2 u in a ring, with Neumann and Robin conditions.

u = cos(3 x + 4 y), so k = 5. On the outer circle du/dn = g is given, on the inner one
du/dn + u = h, by the outward normals that come with the points of the boundary. No value of u is
given anywhere.

`pinn-ngd solve helmholtz-neumann --seed 100 --steps 25 --fixed-points` ends with a relative L2
error of 1.8e-6 (the corrected solution 5.9e-11). One seed, one core of a busy machine.
"""

import jax.numpy as jnp

from pinn_ngd import (
    GaussLegendre,
    Problem,
    Residual,
    ResidualObjective,
    annulus,
    gradient,
    laplacian,
    normal_derivative,
)
from pinn_ngd.models import MLP


def exact(x):
    return jnp.cos(3 * x[0] + 4 * x[1])


def flux_gap(u, x, normal):
    return normal_derivative(u)(x, normal) - jnp.dot(normal, gradient(exact)(x))


def problem(
    *, width: int = 20, depth: int = 2, points: int = 10, boundary_points: int = 12,
    boundary_weight: float = 100.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = annulus(inner=0.5, outer=1.0)
    outer, inner = (
        GaussLegendre(domain.boundary(name), boundary_points) for name in ("outer", "inner")
    )
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + 25 * u(x),
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(flux_gap, outer, boundary_weight, "Neumann"),
        Residual(
            lambda u, x, normal: flux_gap(u, x, normal) + u(x) - exact(x),
            inner,
            boundary_weight,
            "Robin",
        ),
    ]
    sizes = (2, *(width,) * depth, 1)
    return Problem(
        name="helmholtz-neumann",
        description="Helmholtz in a ring, fluxes given on its boundary",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain),
        domain=domain,
        exact=exact,
        seconds=seconds,
    )
