"""Viscous Burgers equation that forms a shock, u_t + u u_x = (0.01 / pi) u_xx.

u = -sin(pi x) at t = 0 on (-1, 1), u = 0 at both ends; by t = 1 there is a layer of width 0.01 at
x = 0, where points are added. Exact by the Cole-Hopf transform with Gauss-Hermite quadrature.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    Sobol,
    SpaceTime,
    spatial_gradient,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.geometry.quadrature import GaussLegendre
from pinn_ngd.models import MLP

NODES, WEIGHTS = np.polynomial.hermite.hermgauss(120)


def cole_hopf(x, viscosity):
    """Ratio of two integrals of exp(-cos(pi y) / (2 pi nu)) over a Gaussian of variance 2 nu t."""
    time = jnp.where(x[0] > 0, x[0], jnp.ones_like(x[0]))
    y = x[1] - jnp.sqrt(4 * viscosity * time) * jnp.asarray(NODES, x.dtype)
    exponent = (1 - jnp.cos(jnp.pi * y)) / (2 * np.pi * viscosity)
    mass = jax.nn.softmax(exponent + jnp.log(jnp.asarray(WEIGHTS, x.dtype)))
    mean = jnp.sum(mass * jnp.sin(jnp.pi * y))
    return -jnp.where(x[0] > 0, mean, jnp.sin(jnp.pi * x[1]))


def problem(
    *, viscosity: float = 0.01 / np.pi, width: int = 20, depth: int = 3, interior: int = 1024,
    boundary: int = 88, boundary_weight: float = 100.0, ridge: float = 2.0,
    windows: int | None = None, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(-1.0, 1.0))

    def exact(x):
        return cole_hopf(x, viscosity)

    def equation(u, x):
        convection = u(x) * spatial_gradient(u)(x)[0]
        return time_derivative(u)(x) + convection - viscosity * spatial_laplacian(u)(x)

    terms = [
        Residual(equation, Sobol(domain, interior), name="interior"),
        Residual(
            lambda u, x: u(x) + jnp.sin(jnp.pi * x[1]),
            Sobol(domain.initial(), boundary, seed=1),
            boundary_weight,
            "initial",
        ),
        Residual(
            lambda u, x: u(x),
            Sobol(domain.lateral(), boundary, seed=2),
            boundary_weight,
            "lateral",
        ),
    ]
    sizes = (2, *(width,) * depth, 1)
    return Problem(
        name="burgers-1d",
        description="viscous Burgers equation with a shock, points that find it",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        windows=windows,
        seconds=seconds,
    )
