"""How the time and the memory of a step grow with parameters, points and dimension, by route.

    python benchmarks/growth.py             # a quarter of an hour
    python benchmarks/growth.py engd-sub    # one route anew

One step of every route on Poisson's equation on a cube with a shallow tanh network: from the base
of 1,001 parameters, 1,000 interior points and two dimensions one of the three numbers grows. Times
are medians of processor seconds, memory is what XLA reserves for the compiled step; `products` are
one with A and one with its transpose, of which a step that stores no rows has some hundred. An
exponent is that of a fit time ~ size^exponent to the upper half of the sizes. The numbers go into
`benchmarks/results/growth.json`, and the table of docs/scale.md is made of them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)

import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import Box, Residual, ResidualObjective, Sobol, laplacian, optimizers
from pinn_ngd.metrics import EnergyMetric
from pinn_ngd.models import MLP

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the checkout, for what recipes share
from report_tables import with_table

from figures.recipes.timing import measured

RESULTS = HERE / "results" / "growth.json"
PAGE = HERE.parent / "docs" / "scale.md"
BASE = {"parameters": 1001, "points": 1000, "dimension": 2}
SIZES = {
    "parameters": (501, 1001, 2001, 4001, 8001),
    "points": (500, 1000, 2000, 4000, 8000),
    "dimension": (2, 4, 8, 16, 32),
}
FAST = {**SIZES, "parameters": (1001, 4001, 16_001, 64_001)}
PRODUCTS = "products"  # one with A and one with its transpose, of which a matrix-free step has many
ROUTES = {
    "engd-tr": SIZES, "spring": SIZES, "engd-sub": FAST, "kfac-pinn": SIZES, "adam": FAST,
    PRODUCTS: FAST,
}  # fmt: skip


def build(parameters: int, points: int, dimension: int) -> tuple[ResidualObjective, MLP]:
    """Poisson's equation with so many interior points and an eighth of that on the boundary."""
    domain = Box((0.0,) * dimension, (1.0,) * dimension)
    terms = [
        Residual(lambda u, x: laplacian(u)(x) + x[0], Sobol(domain, points)),
        Residual(lambda u, x: u(x), Sobol(domain.boundary(), points // 8)),
    ]
    width = max(1, round((parameters - 1) / (dimension + 2)))
    return ResidualObjective(terms), MLP(
        (dimension, width, 1), key=jax.random.key(0), domain=domain
    )


def step_cost(route: str, size: dict[str, int]) -> dict[str, float]:
    """Processor seconds and MiB of one step, beside the sizes that there really are."""
    objective, model = build(**size)
    batch = objective.batch(jax.random.key(0))
    optimizer = optimizers.get("adam" if route == PRODUCTS else route)
    state = optimizer.init(model, objective, batch)

    def step(model: Any, state: Any, objective: Any, batch: Any) -> Any:
        return optimizer.step(model, state, objective, batch, key=jax.random.key(1))

    def products(model: Any, state: Any, objective: Any, batch: Any) -> Any:
        del state
        system = EnergyMetric().system(objective, model, batch, matrix_free=True)
        return system.operator.T.mv(system.operator.mv(eqx.filter(model, eqx.is_inexact_array)))

    arguments = model, state, objective, batch
    function = products if route == PRODUCTS else step
    seconds, memory, _ = measured(
        function, *arguments, repeats=3, at_least=1.0, most=30, clock=time.process_time
    )
    return {**size, "seconds": seconds, "mebibytes": memory}


def grown(route: str) -> Iterable[tuple[str, dict[str, float]]]:
    """The costs of one route, each with the name of the number that differs from the base."""
    for axis, sizes in ROUTES[route].items():
        for size in sizes:
            yield axis, step_cost(route, {**BASE, axis: size})


def exponent(lines: list[dict[str, float]], axis: str, of: str) -> float:
    """The exponent of a power of `axis` fitted to the upper half of the sizes, at least three."""
    tail = sorted(lines, key=lambda line: line[axis])[-max(3, -(-len(lines) // 2)) :]
    sizes, costs = (np.log([line[key] for line in tail]) for key in (axis, of))
    return float(np.polyfit(sizes, costs, 1)[0])


def table(found: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Exponents of time and memory by route, with the largest size that each was fitted to."""
    rows = [
        "| route | ms and MiB at the base | parameters: time, memory | points | dimension |",
        "|---|---:|---:|---:|---:|",
    ]
    for route, axes in found.items():
        base = next(line for line in axes["parameters"] if line["parameters"] == 1001)
        cells = [f"{1e3 * base['seconds']:,.0f}, {base['mebibytes']:,.0f}"]
        for axis, lines in axes.items():
            largest = max(line[axis] for line in lines)
            powers = (exponent(lines, axis, of) for of in ("seconds", "mebibytes"))
            cells.append(
                ", ".join(f"{round(power, 1) + 0.0:.1f}" for power in powers) + f" (to {largest:,})"
            )
        rows.append(f"| `{route}` | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure the routes that the command line names and write numbers and page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("routes", nargs="*", default=list(ROUTES))
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    with threadpool_limits(limits=1, user_api="blas"):
        for route in options.routes:
            axes: dict[str, list[dict[str, float]]] = {}
            for axis, line in grown(route):
                axes.setdefault(axis, []).append(line)
                print(route, axis, line, flush=True)
            found = {name: axes if name == route else found.get(name) for name in ROUTES}
            found = {name: axes for name, axes in found.items() if axes}
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(page, table(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
