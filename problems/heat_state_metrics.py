"""Heat equation on [-1, 1] x [0, 1], for metrics of the network's values (2-20-30-20-1).

The network of the Poisson experiment of Nurbekyan, Lei and Yang (SISC 2023) on a heat equation with
two modes; the state is the network on a grid in space and time. Coordinates are (t, x).
"""

import equinox as eqx
import jax.numpy as jnp

from pinn_ngd import (
    Equispaced,
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP

DIFFUSIVITY = 0.1


def mode(k, x):
    return jnp.exp(-DIFFUSIVITY * (k * jnp.pi) ** 2 * x[0]) * jnp.sin(k * jnp.pi * x[1])


def exact(x):
    return mode(1, x) + mode(2, x)


class Rescaled(eqx.Module):
    """The network on [0, 1]^2, seen from [0, 1] x [-1, 1]."""

    network: MLP

    def __call__(self, x):
        return self.network(jnp.stack([x[0], (x[1] + 1) / 2]))


def problem(
    *, widths: tuple[int, ...] = (20, 30, 20), points: int = 50, seconds: float = 60.0
) -> Problem:
    domain = SpaceTime(Interval(0.0, 1.0), Interval(-1.0, 1.0))
    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) - DIFFUSIVITY * spatial_laplacian(u)(x),
            Equispaced(domain, points, "both"),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x),
            Equispaced(domain.initial(), points, "both"),
            weight=10.0,
            name="initial",
        ),
        Residual(
            lambda u, x: u(x),
            Equispaced(domain.lateral(), points, "both"),
            weight=10.0,
            name="lateral",
        ),
    ]
    return Problem(
        name="heat-state-metrics",
        description="heat equation for metrics of the network's values",
        objective=ResidualObjective(terms),
        model=lambda key: Rescaled(MLP((2, *widths, 1), key=key, init="glorot")),
        domain=domain,
        evaluation=GaussLegendre(domain, 101).quadrature(),
        exact=exact,
        optimizer="wngd",
        optimizer_settings={"metric": "h1", "solver": "cholesky"},
        compared="loss",
        seconds=seconds,
    )
