"""Poisson with four frequencies at once, on random Fourier features.

-Laplace u = f on the unit square, zero on the boundary, u = 1/4 sum of sin(w pi x) sin(w pi y) over
w = 4, 8, 12, 16. A plain network learns the low frequencies first; here it sees the coordinates
through sines and cosines of random frequencies of two scales, which are not trained.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP, Embedded, FourierFeatures

WAVES = np.array([4.0, 8.0, 12.0, 16.0])


def exact(x):
    waves = jnp.asarray(WAVES, x.dtype) * jnp.pi
    return jnp.mean(jnp.sin(waves * x[0]) * jnp.sin(waves * x[1]))


def force(x):
    waves = jnp.asarray(WAVES, x.dtype) * jnp.pi
    return jnp.mean(2 * waves**2 * jnp.sin(waves * x[0]) * jnp.sin(waves * x[1]))


def problem(
    *, width: int = 32, depth: int = 2, features: int = 24, scales: tuple = (1.0, 5.0),
    points: int = 40, boundary_weight: float = 100.0, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def model(key):
        first, second = jax.random.split(key)
        waves = FourierFeatures(domain, features, key=first, scales=scales)
        return Embedded(waves, MLP((waves.size, *(width,) * depth, 1), key=second))

    terms = [
        Residual(
            lambda u, x: -laplacian(u)(x) - force(x), GaussLegendre(domain, points), name="interior"
        ),
        Residual(
            lambda u, x: u(x),
            GaussLegendre(domain.boundary(), points),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="multiscale-poisson",
        description="Poisson with four frequencies, on random Fourier features",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
