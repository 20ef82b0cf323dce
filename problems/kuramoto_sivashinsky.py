"""Kuramoto-Sivashinsky equation, u_t + 5 u u_x + u_xx / 2 + u_xxxx / 200 = 0: the regular regime.

u = -sin(pi x) at t = 0, period 2 on (-1, 1), 0 < t < 1. Long waves grow, short ones are damped, and
a front is born that later oscillates. The network is exactly periodic. Over all times at once
(`--set windows=None`) a run stops at a false solution. Therefore it is solved in 20 windows. Errors
are measured against a spectral solution that is shipped, itself accurate to 3.9e-9
(`benchmarks/references.py`).
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
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.evaluation import shipped_reference
from pinn_ngd.geometry import derivative
from pinn_ngd.models import MLP, Embedded, PeriodicFeatures


def residual(u, x):
    steepening = 5 * u(x) * spatial_gradient(u)(x)[0]
    damping = derivative(u, 1, 1, 1, 1)(x) / 200
    return time_derivative(u)(x) + steepening + spatial_laplacian(u)(x) / 2 + damping


def problem(
    *, width: int = 22, depth: int = 3, points: int = 28, initial_weight: float = 100.0,
    windows: int | None = 20, seconds: float = 300.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(-1.0, 1.0))
    features = PeriodicFeatures(domain, axes=(1,))
    sizes = (features.size, *(width,) * depth, 1)
    terms = [
        Residual(residual, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) + jnp.sin(jnp.pi * x[1]),
            GaussLegendre(domain.initial(), points),
            initial_weight,
            "initial",
        ),
    ]
    return Problem(
        name="kuramoto-sivashinsky",
        description="Kuramoto-Sivashinsky, a front that is born and oscillates",
        objective=ResidualObjective(terms),
        model=lambda key: Embedded(features, MLP(sizes, key=key, domain=features.image)),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=shipped_reference("kuramoto-sivashinsky"),
        windows=windows,
        seconds=seconds,
    )
