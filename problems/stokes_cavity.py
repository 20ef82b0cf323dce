"""Flow in a lid-driven cavity without inertia (Stokes): velocity and pressure, named equations.

-Laplace (u, v) + grad p = 0,  u_x + v_y = 0  on the unit square,  (u, v) = (16 x^2 (1 - x)^2, 0) on
the lid y = 1 and 0 on the other walls, and the mean of p is 0: the equations leave it open.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.evaluation import shipped_reference
from pinn_ngd.models import MLP


def flow(u, x):
    slope, second = jax.jacfwd(u)(x), laplacian(u)(x)
    return {"momentum": slope[2] - second[:2], "mass": slope[0, 0] + slope[1, 1]}


def walls(u, x):
    lid = jnp.where(x[1] > 0.5, 16 * x[0] ** 2 * (1 - x[0]) ** 2, 0.0)
    return u(x)[:2] - jnp.stack([lid * x[1], jnp.zeros_like(lid)])


def problem(
    *, width: int = 18, depth: int = 3, points: int = 14, boundary_weight: float = 100.0,
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
        name="stokes-cavity",
        description="Stokes flow in a lid-driven cavity, velocity and pressure",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=shipped_reference("stokes-cavity"),
        seconds=seconds,
        components=("u", "v", "p"),
    )
