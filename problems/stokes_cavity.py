"""Flow in a lid-driven cavity without inertia (Stokes): velocity and pressure, named equations.

-Laplace (u, v) + grad p = 0,  u_x + v_y = 0  on the unit square. On the lid y = 1 the velocity is
(16 x^2 (1 - x)^2, 0), which comes to rest smoothly at the corners; on the other walls it is 0. The
equations leave a constant of p open: its mean is 0. Errors are measured against a Stokes flow in
closed form that is shipped, itself accurate to 2.0e-10 (`benchmarks/stokes_reference.py`).

`pinn-ngd figures stokes-cavity` (seed 100, one core of a two-core machine): relative L2 error
1.3e-4 after 20 s of training; 3.9e-5 after 120 s, of u 5.5e-6, of v 8.2e-6 and of p 3.9e-5. The run
calls its error not known. In the corners the velocity has singular third derivatives and the
pressure singular second ones, and the largest residual sits there.
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
    # The side walls have y > 0.5, too, but x = 0 or 1, where this velocity is zero.
    lid = jnp.where(x[1] > 0.5, 16 * x[0] ** 2 * (1 - x[0]) ** 2, 0.0)
    return u(x)[:2] - jnp.stack([lid, jnp.zeros_like(lid)])


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
