"""How fast does a rod conduct heat? The diffusivity k of u_t = k u_xx from 100 noisy temperatures.

u(0, x) = sin(pi x) + sin(3 pi x) / 2 and u = 0 at both ends are known; u is measured at random
places and times with normal noise of deviation `sigma`. The unknown `model.k.value` is one more
parameter of the model, trained together with the network. The measurements are a `Data` term, so
that `pinn_ngd.validation.posterior` knows their noise; equation and boundary values count as exact,
by a weight that is a thousand times as large.

`pinn-ngd solve heat-inverse --seed 100` finds k = 0.1019 with a standard deviation of 0.0010 (true:
0.1) after its 60 steps, 10 s of training on one core of a two-core machine that other programs
shared. Regression with the exact solution, whose only parameter is k, gives the same two numbers
for this noise.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    Data,
    GaussLegendre,
    Interval,
    Positive,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    WithUnknowns,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP
from pinn_ngd.validation import posterior

TRUE = 0.1


def initial(y):
    return jnp.sin(jnp.pi * y) + 0.5 * jnp.sin(3 * jnp.pi * y)


def exact(x):
    def mode(n):
        return jnp.exp(-TRUE * (n * jnp.pi) ** 2 * x[0]) * jnp.sin(n * jnp.pi * x[1])

    return mode(1) + 0.5 * mode(3)


def measured(sensors, sigma, seed):
    """Places (t, x), and the temperatures there with noise."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(size=(sensors, 2))
    values = np.asarray(jax.vmap(exact)(jnp.asarray(places)))
    return places, values + sigma * rng.standard_normal(sensors)


def problem(
    *, sensors: int = 100, sigma: float = 0.02, noise_seed: int = 0, width: int = 12,
    depth: int = 2, points: int = 12, seconds: float = 20.0, steps: int = 60,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 1.0))
    exactly = 1e3 * sensors / sigma**2
    objective = ResidualObjective(
        [
            Residual(
                lambda u, x: time_derivative(u)(x) - u.k.value * spatial_laplacian(u)(x),
                GaussLegendre(domain, points),
                exactly,
                "equation",
            ),
            Residual(
                lambda u, x: u(x) - initial(x[1]),
                GaussLegendre(domain.initial(), points),
                exactly,
                "initial",
            ),
            Residual(lambda u, x: u(x), GaussLegendre(domain.lateral(), points), exactly, "ends"),
            Data(*measured(sensors, sigma, noise_seed), sigma),
        ]
    )

    def scores(model):
        deviation = float(posterior(objective, model).deviation(lambda m: m.k.value))
        return {"k": float(model.k.value), "k_deviation": deviation}

    return Problem(
        name="heat-inverse",
        description="diffusivity of a rod from noisy temperatures, with its error bar",
        objective=objective,
        model=lambda key: WithUnknowns(
            MLP((2, *(width,) * depth, 1), key=key, domain=domain), k=Positive(1.0)
        ),
        domain=domain,
        exact=exact,
        scores=scores,
        seconds=seconds,
        steps=steps,
    )
