"""Poisson's equation with noisy boundary values: a Gaussian process and a network, error bars."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from pinn_ngd import Box, GaussLegendre, Residual, ResidualObjective, laplacian, train
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLACK, BLUE, VERMILION, new_figure
from pinn_ngd.models import MLP
from pinn_ngd.objectives import Data
from pinn_ngd.validation import posterior

SEEDS, SIGMA, MEASURED = 10, 0.05, 60
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
LENGTHS = (0.25, 0.35, 0.5, 0.7, 1.0)
Bars = tuple[np.ndarray, np.ndarray]


def exact(x: Any) -> Any:
    """sin(pi x) sin(pi y) / 2 + x^2 - y^2."""
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1]) / 2 + x[0] ** 2 - x[1] ** 2


def source(x: Any) -> Any:
    """-Laplace of the solution."""
    return jnp.pi**2 * jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def equation(u: Any, x: Any) -> Any:
    return -laplacian(u)(x)


def value(u: Any, x: Any) -> Any:
    return u(x)


def make(job: Job) -> Made:
    """Both solutions on two lines through the square, and how often their error bars are right."""
    lines = {"middle, $y = 0.5$": _line(0.5), "near the wall, $y = 0.02$": _line(0.02)}
    inside = np.asarray(GaussLegendre(SQUARE, 12).quadrature().points)
    everywhere = np.concatenate([*lines.values(), inside])
    truth = np.asarray(jax.vmap(exact)(jnp.asarray(everywhere)))
    bars: dict[str, list[Bars]] = {"Gaussian process": [], "network": []}
    lengths = []
    for seed in job.seeds(SEEDS):
        job.tell(f"noise of seed {seed}")
        data = measurements(seed)
        process, length = by_process(*data, 4 if job.quick else 12, everywhere)
        bars["Gaussian process"].append(process)
        bars["network"].append(by_network(*data, 3 if job.quick else 150, everywhere, seed))
        lengths.append(length)
    draw(job, lines, {name: found[0] for name, found in bars.items()}, truth)
    facts = {name: quality(found, truth, len(inside)) for name, found in bars.items()}
    seeds = list(job.seeds(SEEDS))
    return recorded(job, [job.name], seeds=seeds, results={"lengths": lengths, **facts})


def measurements(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy values at points drawn on the boundary."""
    rng = np.random.default_rng(seed)
    side, s = rng.integers(4, size=MEASURED), rng.uniform(size=MEASURED)
    low, high = np.zeros_like(s), np.ones_like(s)
    corners = [np.stack(p, 1) for p in ((s, low), (s, high), (low, s), (high, s))]
    places = np.stack(corners)[side, np.arange(MEASURED)]
    true = np.asarray(jax.vmap(exact)(jnp.asarray(places)))
    return places, true + SIGMA * rng.normal(size=MEASURED)


def by_process(
    places: np.ndarray, values: np.ndarray, points: int, where: np.ndarray
) -> tuple[Bars, float]:
    """Mean and deviation with the length of the kernel that has the largest evidence."""
    inside = GaussLegendre(SQUARE, points).quadrature().points
    observations = [
        gp.Observation(equation, inside, jax.vmap(source)(inside)),
        gp.Observation(value, places, values, SIGMA),
    ]
    found = {length: gp.condition(gp.RBF(length), observations) for length in LENGTHS}
    best = max(found, key=lambda length: float(found[length].log_evidence()))
    mean, variance = found[best].marginals(jnp.asarray(where))
    return (np.asarray(mean), np.sqrt(np.asarray(variance))), best


def by_network(
    places: np.ndarray, values: np.ndarray, steps: int, where: np.ndarray, seed: int
) -> Bars:
    """A trained network, and its deviation from the rows of equation and data."""
    weight = 1e3 * MEASURED / SIGMA**2
    terms = [
        Residual(lambda u, x: equation(u, x) - source(x), GaussLegendre(SQUARE, 12), weight=weight),
        Data(places, values, SIGMA),
    ]
    objective = ResidualObjective(terms)
    net = MLP((2, 16, 1), key=jax.random.key(seed), domain=SQUARE)
    result = train(objective, net, "engd-tr", steps=steps, key=seed, grow=False)
    model, points = result.model, jnp.asarray(where)
    bars = posterior(objective, model).deviation(lambda m: jax.vmap(m)(points))
    return np.asarray(jax.vmap(model)(points)), np.asarray(bars)


def quality(found: list[Bars], truth: np.ndarray, count: int) -> dict[str, float]:
    """Of the points inside: root mean squares of errors and deviations, and the part of the errors
    that are below two deviations."""
    error = np.stack([(mean - truth)[-count:] for mean, _ in found])
    deviation = np.stack([bars[-count:] for _, bars in found])
    return {
        "rms error": float(np.sqrt(np.mean(error**2))),
        "rms deviation": float(np.sqrt(np.mean(deviation**2))),
        "within two deviations": float(np.mean(np.abs(error) < 2 * deviation)),
    }


def _line(y: float) -> np.ndarray:
    x = np.linspace(0, 1, 61)
    return np.stack([x, np.full_like(x, y)], axis=1)


def draw(job: Job, lines: dict[str, np.ndarray], found: dict[str, Bars], truth: np.ndarray) -> None:
    """A column a line through the square: values, and errors with two deviations around zero."""
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.9)
        axes = figure.subplots(2, len(lines), sharex=True, sharey="row")
        start = 0
        for column, (title, points) in zip(axes.T, lines.items(), strict=True):
            part, x = slice(start, start + len(points)), points[:, 0]
            start += len(points)
            column[0].plot(x, truth[part], color=BLACK, linewidth=2.4, alpha=0.3, label="exact")
            for (name, bars), color in zip(found.items(), (BLUE, VERMILION), strict=True):
                mean, deviation = bars[0][part], bars[1][part]
                column[0].plot(x, mean, "--", color=color, label=name)
                column[1].plot(x, mean - truth[part], color=color)
                column[1].fill_between(x, -2 * deviation, 2 * deviation, color=color, alpha=0.18,
                                       linewidth=0)  # fmt: skip
            column[1].axhline(0, color=BLACK, linewidth=0.5)
            column[0].set(title=title)
            column[1].set(xlabel="$x$")
        axes[0, 0].set(ylabel="$u$")
        axes[1, 0].set(ylabel="error, $\\pm 2$ deviations")
        axes[0, 0].legend()
        plotting.save(figure, job.folder / job.name)
