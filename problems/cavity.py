"""Steady Navier-Stokes in a lid-driven cavity at Re = 100: velocity and pressure.

(v . grad) v + grad p = Laplace v / Re, div v = 0 on the unit square. On the lid y = 1 the velocity
is (16 x^2 (1 - x)^2, 0), which comes to rest smoothly at the corners; on the other walls it is 0.
The equations leave a constant of p open: its mean is 0. Errors are measured against a spectral
solution that is shipped, itself accurate to 9.0e-7 (`benchmarks/cavity_reference.py`).
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.evaluation import shipped_reference
from pinn_ngd.models import MLP

REYNOLDS = 100.0


def flow(u, x):
    value, slope, second = u(x), jax.jacfwd(u)(x), laplacian(u)(x)
    momentum = slope[:2] @ value[:2] + slope[2] - second[:2] / REYNOLDS
    return {"momentum": momentum, "mass": slope[0, 0] + slope[1, 1]}


def walls(u, x):
    # The side walls have y > 0.5, too, but x = 0 or 1, where this velocity is zero.
    lid = jnp.where(x[1] > 0.5, 16 * x[0] ** 2 * (1 - x[0]) ** 2, 0.0)
    return u(x)[:2] - jnp.stack([lid, jnp.zeros_like(lid)])


def problem(
    *, width: int = 20, depth: int = 3, points: int = 16, boundary_weight: float = 100.0,
    seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0, 0.0), (1.0, 1.0))
    square = GaussLegendre(domain, 20).quadrature()
    terms = [
        Residual(flow, GaussLegendre(domain, points), name="interior"),
        Residual(walls, GaussLegendre(domain.boundary(), points), boundary_weight, "walls"),
        Residual(
            lambda u, _: square.integrate(lambda x: u(x)[2]), np.zeros((1, 2)), 1.0, "mean pressure"
        ),
    ]
    sizes = (2, *(width,) * depth, 3)
    return Problem(
        name="cavity",
        description="Navier-Stokes in a lid-driven cavity, velocity and pressure",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=shipped_reference("cavity"),
        seconds=seconds,
        components=("u", "v", "p"),
    )
