"""Korteweg-de Vries equation, u_t + u u_x + 0.0025 u_xxx = 0: a wave that breaks into solitons.

u = cos(pi x) at t = 0, period 2 on (-1, 1), 0 < t < 1 (the equation of Zabusky and Kruskal 1965).
The network is exactly periodic. Errors are measured against a spectral solution that is shipped,
itself accurate to 2.5e-10 (`benchmarks/references.py`).

`python benchmarks/suite.py kdv --seconds 120 --first 100 --seeds 1` (seed 100, one core
of a two-core machine that others used too): relative L2 error 1.9e-3 after 20 s of training,
1.6e-5 after 120 s; the run calls its error not known.
"""

import jax.numpy as jnp

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
from pinn_ngd.evaluation import shipped_reference
from pinn_ngd.geometry import derivative
from pinn_ngd.models import MLP, Embedded, PeriodicFeatures


def residual(u, x):
    steepening = u(x) * spatial_gradient(u)(x)[0]
    return time_derivative(u)(x) + steepening + 0.0025 * derivative(u, 1, 1, 1)(x)


def problem(
    *, width: int = 20, depth: int = 3, points: int = 24, initial_weight: float = 100.0,
    windows: int | None = None, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(-1.0, 1.0))
    features = PeriodicFeatures(domain, axes=(1,))
    sizes = (features.size, *(width,) * depth, 1)
    terms = [
        Residual(residual, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - jnp.cos(jnp.pi * x[1]),
            GaussLegendre(domain.initial(), points),
            initial_weight,
            "initial",
        ),
    ]
    return Problem(
        name="kdv",
        description="Korteweg-de Vries, a wave that breaks into solitons",
        objective=ResidualObjective(terms),
        model=lambda key: Embedded(features, MLP(sizes, key=key, domain=features.image)),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=shipped_reference("kdv"),
        windows=windows,
        seconds=seconds,
    )
