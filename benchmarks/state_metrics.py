"""What a Wasserstein natural-gradient direction costs, stored and matrix-free.

    python benchmarks/state_metrics.py            # about five minutes
    python benchmarks/state_metrics.py --quick

First table: the direction of the two-parameter mixture on 84 x 84 nodes (elliptic factorization
included), by operator. Second: waves. Third: Hutchinson's estimate on the Lorenz density of 4,928
cells, mean cosine with the exact direction over four draws. Fourth: networks of 4,000 to 400,000
parameters whose normalized output is a density on 40 x 40 cells, matrix-free: products with Z by
automatic differentiation, LSMR on the damped least-squares problem, and neither a rows x parameters
nor a parameters x parameters array. Fifth: directions on grids of up to a million cells, in two and
three dimensions, by elliptic solver, of a density that varies by a thousand.
`memory` is what XLA reserves for the whole compiled direction; `solves` counts linearized plus
adjoint products. The last line holds the exponents of a fit ~ parameters^exponent.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import Box, ExplicitState, Grid, StateMisfit, load_problem
from pinn_ngd.linalg import get_solver, sketch, solve
from pinn_ngd.metrics import Sobolev, Wasserstein
from pinn_ngd.models import MLP

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.timing import measured

DAMPING = 1e-6  # relative to |Y|_F^2, estimated by one random product


def mixture(repeats: int) -> None:
    """Milliseconds of one direction on the authors' 84 x 84 nodes."""
    problem = load_problem("gaussian-mixture", free="pair")
    model = problem.model(jax.random.key(0))
    print("| operator | ms a direction | MiB |\n|---|---|---|")
    for operator in ("staggered", "central"):
        metric = Wasserstein(operator=operator)

        def direction(m, metric=metric):
            return solve(metric.system(problem.objective, m, ())).value

        seconds, memory, _ = measured(direction, model, repeats=repeats)
        print(f"| {operator} | {1e3 * seconds:.1f} | {memory:.1f} |", flush=True)


def waves(repeats: int) -> None:
    """Seconds of one simulation and one gradient of `fwi-camembert`: nine shots, 625 steps."""
    problem = load_problem("fwi-camembert")
    objective, model = problem.objective, problem.model(jax.random.key(0))
    simulation, _, _ = measured(lambda m: objective.loss(m, ()), model, repeats=repeats)
    gradient, memory, _ = measured(
        eqx.filter_grad(lambda m: objective.loss(m, ())), model, repeats=repeats
    )
    print("\n| waves | seconds | MiB |\n|---|---|---|")
    print(f"| simulation | {simulation:.2f} | |\n| gradient | {gradient:.2f} | {memory:.0f} |")


def sketches(sizes: tuple[int, ...]) -> None:
    """Cosine between exact and sketched directions of `lorenz-63`, by adjoint solves."""
    problem = load_problem("lorenz-63")
    model = problem.model(jax.random.key(0))
    print("\n| adjoint solves | L2 | Wasserstein |\n|---|---|---|")
    cosines = [_cosines(problem.objective, model, m, sizes) for m in (Sobolev(), Wasserstein())]
    for rows, *means in zip(sizes, *cosines, strict=True):
        print(f"| {rows} | {means[0]:.4f} | {means[1]:.4f} |", flush=True)


def _cosines(objective: Any, model: Any, metric: Any, sizes: tuple[int, ...]) -> list[float]:
    def flat(tree: Any) -> np.ndarray:
        return np.array(jax.tree.leaves(tree))

    @eqx.filter_jit
    def sketched(key: Any, rows: int) -> Any:
        whole = metric.system(objective, model, (), matrix_free=True)
        return solve(sketch(whole, rows, key)).value

    exact = flat(solve(metric.system(objective, model, ())).value)
    means = []
    for rows in sizes:
        found = [flat(sketched(jax.random.key(k), rows)) for k in range(4)]
        norms = [np.linalg.norm(f) * np.linalg.norm(exact) for f in found]
        means.append(float(np.mean([f @ exact / n for f, n in zip(found, norms, strict=True)])))
    return means


def network(width: int) -> tuple[StateMisfit, MLP]:
    """A density on 40 x 40 cells: the softmax of a network with two hidden layers."""
    domain = Box((0.0, 0.0), (1.0, 1.0))
    grid = Grid(domain, (40, 40))

    def density(model):
        logits = jax.vmap(model)(grid.points)
        return jax.nn.softmax(logits).reshape(grid.shape)

    x, y = grid.points.T
    data = jax.nn.softmax(-20 * ((x - 0.3) ** 2 + (y - 0.6) ** 2)).reshape(grid.shape)
    model = MLP((2, width, width, 1), key=jax.random.key(0), domain=domain)
    return StateMisfit(
        ExplicitState(grid, density), lambda rho: (rho - data) * grid.size**0.5
    ), model


def matrix_free(width: int, repeats: int) -> list[float]:
    """Parameters, seconds, MiB, products, and the residual of the normal equations."""
    objective, model = network(width)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))

    def direction(q):
        system = Wasserstein().system(objective, eqx.combine(q, static), (), matrix_free=True)
        sign = jax.tree.map(lambda leaf: jnp.where(jnp.arange(leaf.size) % 2, 1.0, -1.0), q)
        sign = jax.tree.map(lambda s, leaf: s.reshape(leaf.shape), sign, q)
        size = sum(jnp.sum(y**2) for y in jax.tree.leaves(system.operator.mv(sign)))
        system = eqx.tree_at(lambda s: s.damping, system, DAMPING * size)
        found = solve(system, get_solver("lsmr"), form="matrix-free")
        residual = jax.tree.map(lambda a, b: a - b, system.target, system.operator.mv(found.value))
        back = system.operator.T.mv(residual)
        gradient = system.operator.T.mv(system.target)
        left = jax.tree.map(lambda a, d: a - system.damping * d, back, found.value)
        error = sum(jnp.sum(e**2) for e in jax.tree.leaves(left))
        scale = sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient))
        return found.stats["num_steps"], jnp.sqrt(error / scale)

    seconds, memory, (iterations, error) = measured(direction, params, repeats=repeats)
    return [count, seconds, memory, 2 * float(iterations) + 6, float(error)]


def cloud(shape: tuple[int, ...]) -> tuple[StateMisfit, jax.Array]:
    """A bump above a thousandth of its height; its place are the parameters."""
    grid = Grid(Box((0.0,) * len(shape), (1.0,) * len(shape)), shape)

    def density(place):
        bump = jnp.exp(-30 * jnp.sum((grid.points - place) ** 2, axis=1)) + 1e-3
        return (bump / jnp.sum(bump)).reshape(grid.shape)

    data = density(jnp.full(len(shape), 0.6))
    objective = StateMisfit(ExplicitState(grid, density), lambda rho: (rho - data) * grid.size**0.5)
    return objective, jnp.full(len(shape), 0.4)


def large_grid(shape: tuple[int, ...], elliptic: Any, repeats: int) -> str:
    """A line of the fifth table."""
    objective, model = cloud(shape)
    metric = Wasserstein(elliptic=elliptic)

    def direction(q):
        return solve(metric.system(objective, q, ())).value

    seconds, memory, _ = measured(direction, model, repeats=repeats)
    cells = " x ".join(map(str, shape))
    return f"| {cells} | {elliptic} | {seconds:.2f} | {memory:,.0f} |"


LARGE = (
    ((100, 100), ("direct", "cg", "multigrid")),
    ((316, 316), ("direct", "cg", "multigrid")),
    ((1000, 1000), ("cg", "multigrid")),
    ((22, 22, 22), ("direct", "cg", "multigrid")),
    ((46, 46, 46), ("cg", "multigrid")),
    ((100, 100, 100), ("cg", "multigrid")),
)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with threadpool_limits(limits=1, user_api="blas"):
        mixture(3 if quick else 20)
        if not quick:
            waves(3)
            sketches((50, 200, 493))
        print("\n| parameters | seconds a direction | MiB | solves | relative residual |")
        print("|---|---|---|---|---|")
        lines = []
        for width in (20, 40) if quick else (62, 198, 630):
            lines.append(matrix_free(width, 1 if quick else 3))
            n, seconds, memory, solves, error = lines[-1]
            print(
                f"| {n:,} | {seconds:.2f} | {memory:.1f} | {solves:.0f} | {error:.0e} |", flush=True
            )
        logs = np.log(np.array(lines)[:, :3])
        slopes = [np.polyfit(logs[:, 0], logs[:, j], 1)[0] for j in (1, 2)]
        print(f"| exponent | {slopes[0]:.2f} | {slopes[1]:.2f} | | |")
        print("\n| cells | elliptic | seconds a direction | MiB |\n|---|---|---|---|")
        for shape, solvers in LARGE[:1] if quick else LARGE:
            for elliptic in solvers:
                print(large_grid(shape, elliptic, 1 if quick else 3), flush=True)


if __name__ == "__main__":
    main()
