"""Milliseconds and memory of one step of `engd-tr`, and how they grow.

    python benchmarks/scaling.py            # a few minutes
    python benchmarks/scaling.py --quick

Prints for several numbers of parameters (at 1,000 rows) and of rows (at 513 parameters) the median
milliseconds of the rows of J, of both factorizations, of evaluating ten candidates, and of a whole
step, which walks to one of them, with geodesic acceleration and with the predictor-corrector.
`memory` is what XLA reserves for the whole compiled step. The last line of each table holds the
exponents of a fit time ~ size^exponent.
"""

import argparse
import sys
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from jax.flatten_util import ravel_pytree
from threadpoolctl import threadpool_limits

from pinn_ngd import Box, Residual, ResidualObjective, Sobol, laplacian
from pinn_ngd.linalg import spectral_factor
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import Geodesic, TrustRegion

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.timing import measured

COLUMNS = (
    "rows of J",
    "factor qr",
    "factor gram",
    "10 evaluations",
    "step geodesic",
    "step default",
)


def build(rows: int, parameters: int):
    """A shallow 2-d Poisson problem with about that many rows and parameters."""
    domain = Box((0.0, 0.0), (1.0, 1.0))
    boundary = rows // 9
    objective = ResidualObjective(
        [
            Residual(lambda u, x: laplacian(u)(x) + x[0], Sobol(domain, rows - boundary)),
            Residual(lambda u, x: u(x), Sobol(domain.boundary(), boundary)),
        ]
    )
    width = max(1, round((parameters - 1) / 4))
    return objective, MLP((2, width, 1), key=jax.random.key(0), domain=domain)


def milliseconds(fn, *arguments, repeats: int) -> tuple[float, float]:
    """Median time of the compiled function, and the memory that XLA reserves for it in MiB."""
    seconds, memory, _ = measured(fn, *arguments, repeats=repeats)
    return 1e3 * seconds, memory


def measure(rows: int, parameters: int, repeats: int) -> list[float]:
    """One line of the table: parameters, rows, the columns, memory."""
    objective, model = build(rows, parameters)
    batch = objective.batch(jax.random.key(0))
    matrix = objective.system(model, batch).operator.as_matrix()
    theta, unravel = ravel_pytree(eqx.filter(model, eqx.is_inexact_array))
    static = eqx.filter(model, eqx.is_inexact_array, inverse=True)
    nearby = theta + 1e-3 * jax.random.normal(jax.random.key(1), (10, theta.size))

    def step(optimizer):
        state = optimizer.init(model, objective, batch)
        # A small damping, so that the accurate QR route is timed.
        state = eqx.tree_at(lambda s: s.damping, state, jnp.asarray(1e-14 * jnp.sum(matrix**2)))
        key = jax.random.key(0)
        return milliseconds(
            lambda m, s, o, b: optimizer.step(m, s, o, b, key=key),
            model, state, objective, batch, repeats=repeats,
        )  # fmt: skip

    def evaluations(stack, o, b):
        return jax.vmap(lambda q: o.loss(eqx.combine(unravel(q), static), b))(stack)

    times = [
        milliseconds(lambda m, o, b: o.system(m, b), model, objective, batch, repeats=repeats)[0],
        milliseconds(lambda a: spectral_factor(a, method="qr"), matrix, repeats=repeats)[0],
        milliseconds(lambda a: spectral_factor(a, method="gram"), matrix, repeats=repeats)[0],
        milliseconds(evaluations, nearby, objective, batch, repeats=repeats)[0],
    ]
    geodesic, _ = step(TrustRegion(acceleration=Geodesic()))
    default, memory = step(TrustRegion())
    return [theta.size, rows, *times, geodesic, default, memory]


def table(sizes: list[tuple[int, int]], axis: int, repeats: int) -> None:
    """Measure all (rows, parameters) and fit the exponents in column `axis`."""
    print("| parameters | rows | " + " | ".join(COLUMNS) + " | memory MiB |")
    print("|" + "---|" * (len(COLUMNS) + 3))
    lines = []
    for rows, parameters in sizes:
        count = max(3, min(repeats, int(2e7 / (rows * parameters))))
        lines.append(measure(rows, parameters, count))
        cells = [f"{x:.0f}" for x in lines[-1][:2]] + [f"{x:.2f}" for x in lines[-1][2:]]
        print("| " + " | ".join(cells) + " |", flush=True)
    data = np.log(np.array(lines))
    tail = data[len(data) // 2 - 1 :]  # the exponents of the larger sizes
    slopes = [np.polyfit(tail[:, axis], tail[:, j], 1)[0] for j in range(2, tail.shape[1])]
    print("| exponent | | " + " | ".join(f"{s:.1f}" for s in slopes) + " |\n")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parameters", type=int, nargs="+", help="sizes of the first table")
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the second table")
    arguments = parser.parse_args()
    quick = arguments.quick
    with threadpool_limits(limits=1, user_api="blas"):
        sizes = [100, 200] if quick else [129, 257, 513, 1000, 2000, 3000]
        parameters = arguments.parameters or sizes
        table([(1000 if p > 129 else 900, p) for p in parameters], 0, 5 if quick else 50)
        rows = arguments.rows or ([500, 1000] if quick else [1000, 2000, 5000, 10_000, 20_000])
        table([(n, 513) for n in rows], 1, 5 if quick else 50)


if __name__ == "__main__":
    main()
