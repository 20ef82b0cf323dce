"""Poisson on [-1, 1]^2, network and loss of the state-metric experiments (2-20-30-20-1).

Nurbekyan, Lei and Yang (SISC 2023) train this network, of 1,331 parameters, with metrics that act
on its values on a grid. Two sine modes; residual at 50 x 50 equispaced points, boundary included,
with the weight 2 - gamma, and boundary values with gamma = 1.99. Metrics of densities see the
values raised by 3.
"""

import equinox as eqx
import jax.numpy as jnp

from pinn_ngd import Box, Equispaced, GaussLegendre, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP

GAMMA = 1.99


def mode(k, x):
    return jnp.sin(k * jnp.pi * x[0]) * jnp.sin(k * jnp.pi * x[1])


def exact(x):
    return mode(1, x) + mode(3, x)


class Rescaled(eqx.Module):
    """The network on [0, 1]^2, seen from [-1, 1]^2."""

    network: MLP

    def __call__(self, x):
        return self.network((x + 1) / 2)


def problem(
    *, widths: tuple[int, ...] = (20, 30, 20), points: int = 50, seconds: float = 60.0
) -> Problem:
    domain = Box((-1.0, -1.0), (1.0, 1.0))
    boundary = domain.boundary()
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) + 2 * jnp.pi**2 * (mode(1, x) + 9 * mode(3, x)),
            Equispaced(domain, points, "both"),
            weight=2 * (2 - GAMMA) / domain.measure,  # twice a mean, the loss having 1/2
            name="interior",
        ),
        Residual(
            lambda u, x: u(x),
            Equispaced(boundary, points - 1, "left"),
            weight=2 * GAMMA / boundary.measure,
            name="boundary",
        ),
    ]
    return Problem(
        name="poisson-state-metrics",
        description="Poisson on [-1, 1]^2 for metrics of the network's values",
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
