"""Helmholtz's equation on a square, one wave along x and four along y, Laplace u + u = f.

u = sin(pi x) sin(4 pi y) on (-1, 1)^2, zero on the boundary, so that f is 1 - 17 pi^2 times u.
With `waves` = 150 the network is one layer of that many sine waves whose frequencies are trained,
from a start with up to `frequency` / (2 pi) periods along a side. The solution is a sum of two
such waves, so that these features are made for it; `width`, `depth` and `ridge` do nothing then.
"""

import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP


def problem(
    *, along: int = 1, across: int = 4, wave_number: float = 1.0, width: int = 22, depth: int = 3,
    points: int = 24, boundary_weight: float = 100.0, ridge: float = 2.0, waves: int = 0,
    frequency: float = 15.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = Box((-1.0, -1.0), (1.0, 1.0))
    eigenvalue = float(np.pi**2 * (along**2 + across**2))

    def exact(x):
        return jnp.sin(along * jnp.pi * x[0]) * jnp.sin(across * jnp.pi * x[1])

    def equation(u, x):
        return laplacian(u)(x) + wave_number**2 * u(x) + (eigenvalue - wave_number**2) * exact(x)

    terms = [
        Residual(equation, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x),
            GaussLegendre(domain.boundary(), points),
            boundary_weight,
            "boundary",
        ),
    ]

    def model(key):
        if waves:
            start = {"activation": "sin", "init": "siren", "scale": frequency}
            return MLP((2, waves, 1), key=key, domain=domain, **start)
        return MLP((2, *(width,) * depth, 1), key=key, domain=domain, scale=ridge)

    return Problem(
        name="helmholtz",
        description="Helmholtz's equation with one wave along x and four along y",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
