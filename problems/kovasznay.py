"""Navier-Stokes behind a grid (Kovasznay 1948): velocity and pressure of a steady flow at Re = 40.

(v . grad) v + grad p = Laplace v / Re, div v = 0 on (-1/2, 1) x (-1/2, 3/2), with the exact flow on
the boundary:

    v = (1 - e^(a x) cos(2 pi y), a / (2 pi) e^(a x) sin(2 pi y)),   p = (1 - e^(2 a x)) / 2,
    a = Re / 2 - sqrt(Re^2 / 4 + 4 pi^2).

`python benchmarks/suite.py kovasznay --seconds 120 --first 100 --seeds 1` (seed 100, one core
of a two-core machine that others used too): relative L2 error 1.4e-7 after 20 s of training,
7.8e-9 after 120 s (the corrected solution 1.0e-10).
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP


def problem(
    *, reynolds: float = 40.0, width: int = 18, depth: int = 3, points: int = 14,
    boundary_weight: float = 100.0, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = Box((-0.5, -0.5), (1.0, 1.5))
    rate = float(reynolds / 2 - np.sqrt(reynolds**2 / 4 + 4 * np.pi**2))

    def exact(x):
        decay, angle = jnp.exp(rate * x[0]), 2 * jnp.pi * x[1]
        across = rate / (2 * jnp.pi) * decay * jnp.sin(angle)
        return jnp.stack([1 - decay * jnp.cos(angle), across, (1 - decay**2) / 2])

    def residual(u, x):
        value, slope, second = u(x), jax.jacfwd(u)(x), laplacian(u)(x)
        momentum = slope[:2] @ value[:2] + slope[2] - second[:2] / reynolds
        return {"momentum": momentum, "mass": slope[0, 0] + slope[1, 1]}

    terms = [
        Residual(residual, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - exact(x),
            GaussLegendre(domain.boundary(), points),
            boundary_weight,
            "boundary",
        ),
    ]
    sizes = (2, *(width,) * depth, 3)
    return Problem(
        name="kovasznay",
        description="Navier-Stokes, a flow with known velocity and pressure",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
        components=("u", "v", "p"),
    )
