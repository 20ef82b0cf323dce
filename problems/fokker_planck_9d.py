"""Fokker-Planck in nine space dimensions, for the logarithm q of the density.

q_t = 9/2 + x . grad q / 2 + |grad q|^2 + Laplace q on (0, 1) x (-5, 5)^9: drift -x/2, diffusion
sqrt(2). With the initial density N(0, I) the solution is the logarithm of N(0, v I) with
v = 2 - exp(-t). There is an initial condition and none at the boundary, and the loss is a mean over
the box. The equation of Dangel, Mueller and Zeinhofer (NeurIPS 2024) with a shallow network of
the coordinates in the unit box, on scrambled Sobol points. The solution is quadratic in x. Units of
a softplus network are nearly quadratic where they bend; those of a tanh network are nearly odd: on
one core of a busy two-core machine, `pinn-ngd solve fokker-planck-9d --seed 100 --seconds 90 --set
width=64` ends with a relative L2 error of 2.2e-4, and with `--set activation=tanh` of 1.7e-2. With
64 units one seed of three ended in a poor minimum (1.6e-2 after 300 s from seed 201).

Without boundary values the equation does not determine the solution, and a run says that its error
is not known.
"""

import jax.numpy as jnp

from pinn_ngd import (
    Box,
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
from pinn_ngd.models import MLP

DIMENSION = 9
VOLUME = 10.0**DIMENSION


def exact(x):
    variance = 2 - jnp.exp(-x[0])
    square = jnp.sum(x[1:] ** 2)
    return -DIMENSION / 2 * jnp.log(2 * jnp.pi * variance) - square / (2 * variance)


def equation(u, x):
    slope = spatial_gradient(u)(x)
    gain = DIMENSION / 2 + slope @ x[1:] / 2 + slope @ slope + spatial_laplacian(u)(x)
    return time_derivative(u)(x) - gain


def problem(
    *, width: int = 112, interior: int = 3000, initial: int = 1000, initial_weight: float = 100.0,
    ridge: float = 0.5, activation: str = "softplus", seconds: float = 300.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Box((-5.0,) * DIMENSION, (5.0,) * DIMENSION))
    terms = [
        Residual(equation, Sobol(domain, interior), 1 / VOLUME, "interior"),
        Residual(
            lambda u, x: u(x) - exact(x),
            Sobol(domain.initial(), initial, seed=1),
            initial_weight / VOLUME,
            "initial",
        ),
    ]
    return Problem(
        name="fokker-planck-9d",
        description="logarithm of a density in nine dimensions, shallow softplus network",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(
            (1 + DIMENSION, width, 1), key=key, domain=domain, scale=ridge, activation=activation
        ),
        domain=domain,
        evaluation=Sobol(domain, 16384, seed=2).quadrature(),
        exact=exact,
        seconds=seconds,
    )  # fmt: skip
