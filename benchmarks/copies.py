"""What does somebody get who copies a shipped problem file and changes the equation?

    python benchmarks/copies.py                              # all copies, 120 s each
    python benchmarks/copies.py poisson-2d:source --seeds 2 --seconds 20

Each copy keeps network, points, weights and optimizer of the file that it is named after, and only
the one in a cube has fewer points a side; solution and equation are others, smooth, and never used
to choose a setting. Prints the relative L2 error at points of their own after the first twenty
seconds of training and at the end, of the network and of the corrected solution, with the estimate
that the run makes of its own error.
"""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits
from trust import Moments

import pinn_ngd
from pinn_ngd import (
    Box,
    GaussLegendre,
    Problem,
    Residual,
    ResidualObjective,
    gradient,
    laplacian,
    load_problem,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP

EARLY = 20.0  # seconds

Function = Callable[[jax.Array], jax.Array]


def copied(like: str, inside: Callable, exact: Function) -> Problem:
    """The shipped problem with another equation inside and `exact` in every other term."""
    start = load_problem(like)
    objective: Any = start.objective
    first, *others = objective.terms
    terms = [dataclasses.replace(first, fn=lambda u, x: inside(u, x) - inside(exact, x))]
    terms += [dataclasses.replace(term, fn=lambda u, x: u(x) - exact(x)) for term in others]
    return dataclasses.replace(start, objective=ResidualObjective(terms), exact=exact)


def cube() -> Problem:
    """poisson-2d in three dimensions, on ten points a side."""

    def exact(x):
        return jnp.sin(jnp.pi * x[0]) * jnp.exp(x[1]) * jnp.cos(2 * x[2])

    domain = Box((0.0,) * 3, (1.0,) * 3)
    terms = [
        Residual(
            lambda u, x: laplacian(u)(x) - laplacian(exact)(x),
            GaussLegendre(domain, 10),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x), GaussLegendre(domain.boundary(), 10), 100.0, "boundary"
        ),
    ]
    return Problem(
        name="cube",
        description="Poisson in a cube",
        objective=ResidualObjective(terms),
        model=lambda key: MLP((3, 28, 28, 28, 1), key=key, domain=domain, scale=2.0),
        domain=domain,
        evaluation=GaussLegendre(domain, 21).quadrature(),
        exact=exact,
    )


def source() -> Problem:
    """-Laplace u = f with u = e^x sin(3 y) + x^2."""
    return copied(
        "poisson-2d",
        lambda u, x: laplacian(u)(x),
        lambda x: jnp.exp(x[0]) * jnp.sin(3 * x[1]) + x[0] ** 2,
    )


def coefficient() -> Problem:
    """-div((1 + x y) grad u) = f with u = sin(2 pi x) cos(pi y)."""
    return copied(
        "poisson-2d",
        lambda u, x: (1 + x[0] * x[1]) * laplacian(u)(x) + jnp.dot(x[::-1], gradient(u)(x)),
        lambda x: jnp.sin(2 * jnp.pi * x[0]) * jnp.cos(jnp.pi * x[1]),
    )


def exponential() -> Problem:
    """-Laplace u + e^u = f with u = exp(-8 |x - c|^2)."""
    center = np.asarray([0.4, 0.6])
    return copied(
        "poisson-2d",
        lambda u, x: -laplacian(u)(x) + jnp.exp(u(x)),
        lambda x: jnp.exp(-8 * jnp.sum((x - center) ** 2)),
    )


def fisher() -> Problem:
    """u_t = u_xx / 100 + u (1 - u), the travelling wave of speed 5 sqrt(1 / 600) = 0.204."""
    return copied(
        "heat-1d",
        lambda u, x: time_derivative(u)(x) - spatial_laplacian(u)(x) / 100 - u(x) * (1 - u(x)),
        lambda x: (1 + jnp.exp((x[1] - 0.3 - x[0] / np.sqrt(6) / 2) * 10 / np.sqrt(6))) ** -2,
    )


def modes() -> Problem:
    """u_t = u_xx / 10 - u + f with u = e^-t sin(2 pi x) + t cos(3 x)."""
    return copied(
        "heat-1d",
        lambda u, x: time_derivative(u)(x) - spatial_laplacian(u)(x) / 10 + u(x),
        lambda x: jnp.exp(-x[0]) * jnp.sin(2 * jnp.pi * x[1]) + x[0] * jnp.cos(3 * x[1]),
    )


def saddle() -> Problem:
    """Laplace u - u^2 = f in the unit disk with u = sin(3 x y) + y."""
    return copied(
        "disk-poisson-nonlinear",
        lambda u, x: laplacian(u)(x) - u(x) ** 2,
        lambda x: jnp.sin(3 * x[0] * x[1]) + x[1],
    )


def line() -> Problem:
    """-u'' + 20 u' = f on an interval with u = sin(5 pi x) + x^2."""
    return copied(
        "advection-diffusion",
        lambda u, x: -laplacian(u)(x) + 20 * gradient(u)(x)[0],
        lambda x: jnp.sin(5 * jnp.pi * x[0]) + x[0] ** 2,
    )


COPIES: dict[str, Callable[[], Problem]] = {
    "poisson-2d:source": source,
    "poisson-2d:coefficient": coefficient,
    "poisson-2d:exponential": exponential,
    "poisson-2d:cube": cube,
    "heat-1d:modes": modes,
    "heat-1d:fisher": fisher,
    "disk-poisson-nonlinear:saddle": saddle,
    "advection-diffusion:line": line,
}


def row(name: str, seed: int, seconds: float) -> str:
    """One run as a line of the table."""
    problem, key, moments = COPIES[name](), jax.random.key(seed), Moments()
    model = problem.model(key)
    result = pinn_ngd.train(
        problem.objective_at(model),
        model,
        pinn_ngd.optimizers.get("engd-tr"),
        seconds=seconds,
        key=jax.random.fold_in(key, 1),
        callbacks=[moments],
        evaluate=problem.evaluator(),
        grow=not problem.fixed_points,
    )
    early = [line for line in moments.lines if line["seconds"] <= EARLY and "relative_l2" in line]
    cells = [name, f"{seed}", f"{early[-1]['relative_l2']:.1e}" if early else ""]
    cells += [f"{result.measures['relative_l2']:.1e}", *claims(problem, result)]
    cells += [result.status, f"{result.steps}", f"{result.seconds:.0f}"]
    return "| " + " | ".join([*cells, f"{result.compile_seconds:.0f}"]) + " |"


def claims(problem: Problem, result: pinn_ngd.training.TrainResult) -> list[str]:
    """What the run says of its error, and the error of the corrected solution."""
    estimate = result.estimate
    if estimate is None:
        return ["", ""]
    corrected = problem.evaluator()(estimate.corrected)["relative_l2"]
    doubt = "" if estimate.reliable else " (not reliable)"
    return [f"{estimate.relative_l2:.1e}{doubt}", f"{corrected:.1e}"]


HEADINGS = (
    "copy", "seed", "error after 20 s", "at the end", "estimate", "corrected", "status", "steps",
    "seconds", "compilation",
)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(COPIES))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + "---|" * len(HEADINGS), flush=True)
    with threadpool_limits(1):
        for name in options.names:
            for seed in range(options.first, options.first + options.seeds):
                print(row(name, seed, options.seconds), flush=True)
