"""Linear convection of a wave through 30 lengths, u_t + 30 u_x = 0, periodic in space.

u = sin(x - 30 t) for 0 < t < 1 and 0 < x < 2 pi. For about fifty steps nothing seems to happen,
while the solution spreads from the start through time; then the error falls fast.

`python benchmarks/suite.py convection --seconds 120 --first 100 --seeds 1` (seed 100, one core
of a two-core machine that others used too): relative L2 error 1.1e-1 after 20 s of training,
2.3e-7 after 120 s (the corrected solution 2.2e-9).
"""

import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    spatial_gradient,
    time_derivative,
)
from pinn_ngd.models import MLP, Embedded, PeriodicFeatures


def problem(
    *, speed: float = 30.0, width: int = 20, depth: int = 3, points: int = 24,
    initial_weight: float = 100.0, windows: int | None = None, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 2 * np.pi))
    features = PeriodicFeatures(domain, axes=(1,))
    sizes = (features.size, *(width,) * depth, 1)

    def exact(x):
        return jnp.sin(x[1] - speed * x[0])

    def residual(u, x):
        return time_derivative(u)(x) + speed * spatial_gradient(u)(x)[0]

    terms = [
        Residual(residual, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - jnp.sin(x[1]),
            GaussLegendre(domain.initial(), points),
            initial_weight,
            "initial",
        ),
    ]
    return Problem(
        name="convection",
        description="linear convection through many wavelengths, exactly periodic",
        objective=ResidualObjective(terms),
        model=lambda key: Embedded(features, MLP(sizes, key=key, domain=features.image)),
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        windows=windows,
        seconds=seconds,
    )
