"""Logistic reaction without diffusion, u_t = 5 u (1 - u), from a bump.

u(0, x) = exp(-(x - pi)^2 / (2 (pi / 4)^2)) for 0 < x < 2 pi. Every place goes from its initial
value to 1 by itself. u = 0, the other state of rest, satisfies the equation, too: networks that
begin to follow it lose the solution (Krishnapriyan et al., NeurIPS 2021).
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
    time_derivative,
)
from pinn_ngd.models import MLP


def initial(x):
    return jnp.exp(-((x[1] - jnp.pi) ** 2) / (2 * (jnp.pi / 4) ** 2))


def problem(
    *, rate: float = 5.0, width: int = 20, depth: int = 3, points: int = 24,
    initial_weight: float = 100.0, ridge: float = 2.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 2 * np.pi))

    def exact(x):
        grown = initial(x) * jnp.exp(rate * x[0])
        return grown / (grown + 1 - initial(x))

    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) - rate * u(x) * (1 - u(x)),
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - initial(x),
            GaussLegendre(domain.initial(), points),
            initial_weight,
            "initial",
        ),
    ]
    sizes = (2, *(width,) * depth, 1)
    return Problem(
        name="reaction",
        description="logistic reaction from a bump, without diffusion",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain, scale=ridge),
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        seconds=seconds,
    )
