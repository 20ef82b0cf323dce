"""A permeability field from noisy pressures, with error bars: -div(exp(m) grad u) = f.

Two networks on the unit square, the pressure u and the logarithm m of the permeability, are trained
together. u is measured at 200 random points with normal noise of one percent of its maximum; f and
u = 0 on the boundary are known. Where grad u = 0, in the middle, and between the sensors nothing is
seen of m, so that a term holds its gradient down, as if |grad m| were measured to be zero with a
deviation of about `1 / sqrt(smoothness)`. The rows of all terms give the error bar of m at every
point (`pinn_ngd.validation.posterior`), and `covered` says at which part of the points the truth
lies within two of them.

`pinn-ngd solve darcy-field-inverse --seed 100` makes 60 steps in 7 s, on one core of a two-core
machine that other programs shared. m then has a relative L2 error of 6.1 %, standard deviations of
21 % on average (root mean square), and the truth lies within two of them everywhere: with this weak
smoothness the error bars are cautious. The pressure is right to 0.5 %, half of its noise.

See darcy_inverse.py for a field on a grid, with a discretized equation as a state.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    Box,
    Data,
    GaussLegendre,
    Problem,
    Residual,
    ResidualObjective,
    WithUnknowns,
    gradient,
    laplacian,
)
from pinn_ngd.experiments.plotting import Curves, plot_curves
from pinn_ngd.models import MLP, HardDirichlet
from pinn_ngd.validation import posterior


def pressure(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def log_permeability(x):
    return 0.8 * jnp.sin(2 * x[0] + 1) * jnp.cos(3 * x[1])


def divergence_of_flux(u, m, x):
    """-div(exp(m) grad u)."""
    return -jnp.exp(m(x)) * (laplacian(u)(x) + gradient(m)(x) @ gradient(u)(x))


def problem(
    *, sensors: int = 200, sigma: float = 0.01, smoothness: float = 1.0, noise_seed: int = 0,
    width: int = 10, depth: int = 2, points: int = 10, seconds: float = 60.0, steps: int = 60,
) -> Problem:  # fmt: skip
    domain = Box((0.0, 0.0), (1.0, 1.0))
    rng = np.random.default_rng(noise_seed)
    places = rng.uniform(size=(sensors, 2))
    measured = np.asarray(jax.vmap(pressure)(places)) + sigma * rng.standard_normal(sensors)

    def equation(u, x):
        return divergence_of_flux(u, u.m, x) - divergence_of_flux(pressure, log_permeability, x)

    objective = ResidualObjective(
        [
            Residual(equation, GaussLegendre(domain, points), 1e3 * sensors / sigma**2, "equation"),
            Data(places, measured, sigma),
            Residual(
                lambda u, x: gradient(u.m)(x),
                GaussLegendre(domain, points),
                smoothness,
                "regularization",
            ),
        ]
    )
    fine = GaussLegendre(domain, 20).quadrature()
    truth = jax.vmap(log_permeability)(fine.points)

    def scores(model):
        error = np.asarray(jax.vmap(model.m)(fine.points) - truth)
        bars = posterior(objective, model).deviation(lambda m: jax.vmap(m.m)(fine.points))
        size = np.sqrt(np.sum(fine.weights * truth**2))
        return {
            "field_error": float(np.sqrt(np.sum(fine.weights * error**2)) / size),
            "field_deviation": float(np.sqrt(np.sum(fine.weights * bars**2)) / size),
            "covered": float(np.sum(fine.weights * (np.abs(error) < 2 * bars).astype(float))),
        }

    def picture(model):
        t = jnp.linspace(0.0, 1.0, 101)
        lines = {
            "y = 0.25": jnp.stack([t, 0 * t + 0.25], axis=1),
            "x = y": jnp.stack([t, t], axis=1),
        }
        bars = posterior(objective, model)
        panels = []
        for title, x in lines.items():
            m = np.asarray(jax.vmap(model.m)(x))
            two = 2 * np.asarray(bars.deviation(lambda u, x=x: jax.vmap(u.m)(x)))
            curves = {
                "truth": (t, jax.vmap(log_permeability)(x)),
                "found, with two standard deviations": (t, m, m - two, m + two),
            }
            labels = ("x", "logarithm of the permeability", title)
            panels.append(Curves(curves, *labels, xscale="linear", yscale="linear"))
        return plot_curves(panels, marker="")

    def model(key):
        first, second = jax.random.split(key)
        sizes = (2, *(width,) * depth, 1)
        walls = HardDirichlet(
            MLP(sizes, key=first, domain=domain),
            lambda _: 0.0,
            lambda x: x[0] * (1 - x[0]) * x[1] * (1 - x[1]),
        )
        return WithUnknowns(walls, m=MLP(sizes, key=second, domain=domain))

    return Problem(
        name="darcy-field-inverse",
        description="log-permeability field from noisy pressures, two networks, error bars",
        objective=objective,
        model=model,
        domain=domain,
        exact=pressure,
        scores=scores,
        picture=picture,
        compared="field_error",
        seconds=seconds,
        steps=steps,
    )
