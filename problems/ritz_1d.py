"""Nonlinear deep Ritz on an interval: minimize 1/2 |v'|^2 + 1/4 v^4 - f v, minimizer cos(pi x).

The example of Mueller and Zeinhofer (ICML 2023, Section 4.3) on (-1, 1) with natural boundary
conditions, f = pi^2 cos(pi x) + cos(pi x)^3, network 1-32-1; Gauss-Legendre points.
"""

import jax.numpy as jnp

from pinn_ngd import Energy, EnergyObjective, GaussLegendre, Interval, Problem
from pinn_ngd.models import MLP


def exact(x):
    return jnp.cos(jnp.pi * x[0])


def density(x, features):
    value, slope = features
    source = jnp.pi**2 * exact(x) + exact(x) ** 3
    return slope**2 / 2 + value**4 / 4 - source * value


def problem(
    *, width: int = 32, points: int = 200, ridge: float = 2.0, seconds: float = 30.0
) -> Problem:
    domain = Interval(-1.0, 1.0)
    return Problem(
        name="ritz-1d",
        description="nonlinear deep Ritz on an interval",
        objective=EnergyObjective([Energy(density, GaussLegendre(domain, points))]),
        model=lambda key: MLP((1, width, 1), key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=GaussLegendre(domain, 1001).quadrature(),
        exact=exact,
        seconds=seconds,
    )
