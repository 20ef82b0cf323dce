"""Poisson on the five-dimensional unit cube with a deep network of 10,065 parameters.

-Laplace u = f, u = sum of cos(pi x_i), Dirichlet values from the solution; network and numbers of
points of Dangel, Mueller and Zeinhofer, NeurIPS 2024 (5-64-64-48-48-1, 3,000 + 500), here scrambled
Sobol points. A step of all rows takes too long, so that the default is `engd-sub`, which takes a
part of them.

`pinn-ngd solve poisson-5d-deep --optimizer engd-sub`, 120 s of training on one core of a two-core
machine, ends with relative L2 errors of 1.5e-3, 9.5e-4 and 1.2e-3 from the seeds 100 to 102 (305 to
330 steps). Without `--optimizer` steps of all rows follow after 114 of them. With
`--set full_after=95 --steps 100` five of them end at 3.9e-4 from seed 100, in 48 s (docs/scale.md).
"""

import jax.numpy as jnp

from pinn_ngd import Box, Problem, Residual, ResidualObjective, Sobol, laplacian
from pinn_ngd.models import MLP


def exact(x):
    return jnp.sum(jnp.cos(jnp.pi * x))


def problem(
    *, interior: int = 3000, boundary: int = 500, boundary_weight: float = 100.0,
    seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0,) * 5, (1.0,) * 5)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x),
            Sobol(domain, interior),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            Sobol(domain.boundary(), boundary, seed=1),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="poisson-5d-deep",
        description="Poisson on the five-dimensional cube, deep tanh network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((5, 64, 64, 48, 48, 1), key=key, domain=domain),
        domain=domain,
        evaluation=Sobol(domain, 16384, seed=2).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
