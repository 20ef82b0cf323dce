"""Wave equation in one space dimension with two frequencies, u_tt = 4 u_xx.

u = sin(pi x) cos(2 pi t) + sin(4 pi x) cos(8 pi t) / 2 on the unit square of time and space. On the
576 + 30 + 48 points that it starts from the network interpolates: without more points the loss
falls to 1e-16 and the error stays above one half.

With `waves` = 150 the network is one layer of that many sine waves whose frequencies are trained,
from a start with up to `frequency` / (2 pi) periods along a side. The solution is a sum of four
such waves, so that these features are made for it; `width`, `depth` and `ridge` do nothing then.
"""

import jax.numpy as jnp

from pinn_ngd import (
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


def exact(x):
    slow = jnp.sin(jnp.pi * x[1]) * jnp.cos(2 * jnp.pi * x[0])
    return slow + jnp.sin(4 * jnp.pi * x[1]) * jnp.cos(8 * jnp.pi * x[0]) / 2


def problem(
    *, width: int = 22, depth: int = 3, points: int = 24, boundary_weight: float = 100.0,
    ridge: float = 2.0, waves: int = 0, frequency: float = 20.0,
    windows: int | None = None, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 1.0))
    terms = [
        Residual(
            lambda u, x: time_derivative(time_derivative(u))(x) - 4 * spatial_laplacian(u)(x),
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: jnp.stack([u(x) - exact(x), time_derivative(u)(x)]),
            GaussLegendre(domain.initial(), points + 6),
            boundary_weight,
            "initial",
        ),
        Residual(
            lambda u, x: u(x), GaussLegendre(domain.lateral(), points), boundary_weight, "lateral"
        ),
    ]

    def model(key):
        if waves:
            start = {"activation": "sin", "init": "siren", "scale": frequency}
            return MLP((2, waves, 1), key=key, domain=domain, **start)
        return MLP((2, *(width,) * depth, 1), key=key, domain=domain, scale=ridge)

    return Problem(
        name="wave-1d",
        description="wave equation with two frequencies, few points to start from",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        evaluation=GaussLegendre(domain, 151).quadrature(),
        exact=exact,
        windows=windows,
        seconds=seconds,
    )
