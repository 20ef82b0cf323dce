"""How much to regularize: the L-curve of an unknown source, and what three weights make of it."""

import jax
import jax.numpy as jnp
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd import (
    Data,
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    WithUnknowns,
    gradient,
    l_curve,
    laplacian,
)
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting import Curves
from pinn_ngd.models import MLP, HardDirichlet

LINE, SIGMA, COUNT = Interval(0.0, 1.0), 0.01, 40


def temperature(x):
    return jnp.sin(jnp.pi * x[0]) + 0.3 * jnp.sin(2 * jnp.pi * x[0])


def source(x):
    return -laplacian(temperature)(x)


def objective(seed: int = 0) -> ResidualObjective:
    """-u'' = f on (0, 1) with noisy values of u, and f held smooth."""
    places = np.linspace(0.02, 0.98, COUNT)
    noise = SIGMA * np.random.default_rng(seed).standard_normal(COUNT)
    values = np.asarray(jax.vmap(temperature)(places[:, None])) + noise
    rule = GaussLegendre(LINE, 60)
    return ResidualObjective(
        [
            Residual(lambda u, x: laplacian(u)(x) + u.f(x), rule, 1e8, "equation"),
            Data(places, values, SIGMA),
            Residual(lambda u, x: gradient(u.f)(x), rule, 1.0, "regularization"),
        ]
    )


def start(seed: int = 0) -> WithUnknowns:
    """Two networks: u, zero at both ends, and f."""
    first, second = jax.random.split(jax.random.key(seed))
    walls = HardDirichlet(
        MLP((1, 10, 1), key=first),
        lambda _: 0.0,
        lambda x: x[0] * (1 - x[0]),
    )
    return WithUnknowns(walls, f=MLP((1, 10, 1), key=second))


def make(job: Job) -> Made:
    """The curve, and the sources of three weights."""
    path = l_curve(objective(), start(), np.logspace(-5, 3, 5 if job.quick else 13), steps=100)
    names = [job.name, f"{job.name}-sources"]
    plotting.save(plotting.plot_l_curve(path), job.folder / names[0])
    x = jnp.linspace(0.0, 1.0, 201)[:, None]
    curves = {"truth": (x[:, 0], jax.vmap(source)(x))}
    for place in (0, path.corner, len(path.weights) - 1):
        found = jax.vmap(path.models[place].f)(x)
        curves[f"weight {path.weights[place]:.1g}"] = (x[:, 0], found)
    panel = Curves(curves, "x", "source f", xscale="linear", yscale="linear")
    plotting.save(plotting.plot_curves([panel], marker=""), job.folder / names[1])
    chosen = {"corner": path.corner, "discrepancy": path.discrepancy}
    chosen["cross validation"] = path.cross_validated
    results = {
        "weights": path.weights.tolist(),
        "misfits": path.misfits.tolist(),
        "penalties": path.penalties.tolist(),
        "freedoms": path.freedoms.tolist(),
        "chosen": {name: float(path.weights[place]) for name, place in chosen.items()},
    }
    return recorded(job, names, seeds=[0], results=results)
