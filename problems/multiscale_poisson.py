"""Poisson with four frequencies at once, on a layer of sine waves.

-Laplace u = f on the unit square, zero on the boundary, u = 1/4 sum of sin(w pi x) sin(w pi y) over
w = 4, 8, 12, 16. A plain network learns the low frequencies first. Here the hidden units are sine
waves whose frequencies are trained, from a start with up to 60 / (2 pi) = 9.5 periods across the
square. The solution is a sum of eight such waves, so that these features are made for it. A tanh
network on random Fourier features, whose frequencies are not trained, does not learn it at all:
`pinn-ngd solve multiscale-poisson --set features=24 --seconds 60` ends at a relative L2 error of 1.
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
    *, width: int = 150, frequency: float = 60.0, features: int = 0, points: int = 48,
    boundary_weight: float = 100.0, seconds: float = 30.0,
) -> Problem:  # fmt: skip
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def model(key):
        if features:
            first, second = jax.random.split(key)
            waves = FourierFeatures(domain, features, key=first, scales=(1.0, 5.0))
            return Embedded(waves, MLP((waves.size, 32, 32, 1), key=second))
        start = {"activation": "sin", "init": "siren", "scale": frequency}
        return MLP((2, width, 1), key=key, domain=domain, **start)

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
        description="Poisson with four frequencies, on a layer of sine waves",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
