"""What the dual norm and unit-normalized test functions make of errors of one size."""

import jax.numpy as jnp

from figures.recipes import Job, Made, recorded
from pinn_ngd import FiniteElements, Interval
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLUE, VERMILION, new_figure

HATS = 64
OSCILLATIONS = [1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64, 96, 128]


def make(job: Job) -> Made:
    """Squared norms of R(v) = integral of e' v', |e'| = 1, against the oscillations of e."""
    rule = FiniteElements(Interval(0.0, 1.0), HATS + 1, points=8).quadrature()
    lengths = jnp.linalg.norm(rule.tests.factor, axis=1)
    dual, unit = [], []
    for j in OSCILLATIONS:
        slopes = jnp.sqrt(2.0) * jnp.cos(j * jnp.pi * rule.points[:, 0])
        integrand = jnp.stack([jnp.zeros_like(slopes), slopes], axis=1)[:, :, None]
        functional = rule.tests.functional(rule.weights, integrand)
        dual.append(float(jnp.sum(rule.tests.dual(functional) ** 2)))
        unit.append(float(jnp.sum((functional[:, 0] / lengths) ** 2)))
    with plotting.style():
        figure = new_figure(plotting.COLUMN_WIDTH, 2.6)
        ax = figure.subplots()
        ax.loglog(OSCILLATIONS, dual, "o-", color=BLUE, label="dual norm")
        ax.loglog(OSCILLATIONS, unit, "s--", color=VERMILION, label="unit-normalized tests")
        ax.axvline(HATS, color="0.7", linewidth=0.8)
        ax.set(xlabel="half waves j of the error sin(j pi x)", ylabel="squared norm of R")
        ax.legend()
        plotting.save(figure, job.folder / job.name)
    results = {"oscillations": OSCILLATIONS, "dual": dual, "unit": unit}
    return recorded(job, [job.name], seeds=[], results=results)
