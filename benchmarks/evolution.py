"""Evolutions all at once, in windows of time, and with causal weights, in the same time.

    python benchmarks/evolution.py --seconds 60
    python benchmarks/evolution.py kdv --seeds 2 --windows 4

Prints the relative L2 error at points of their own at the end of each run. Causal weights are made
anew every `--every` steps until all are near one, at most for half of the time; the rest of it
is without them, on points that grow, as in the other runs.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from jaxtyping import PyTree
from threadpoolctl import threadpool_limits

import pinn_ngd
from pinn_ngd import Problem
from pinn_ngd.objectives import causal, causal_factors

PROBLEMS = ("convection", "allen-cahn", "kdv", "kuramoto-sivashinsky")
Way = Callable[[Problem, PyTree, argparse.Namespace], tuple[Any, int]]
SOLVED = 0.99  # smallest factor from which on causal weights change nothing


def at_once(problem: Problem, model: PyTree, options: argparse.Namespace) -> tuple[Any, int]:
    objective = problem.objective_at(model)
    result = pinn_ngd.train(objective, model, "engd-tr", seconds=options.seconds, key=0)
    return result.model, result.steps


def in_windows(
    problem: Problem, model: PyTree, options: argparse.Namespace, *, windows: int
) -> tuple[Any, int]:
    objective = problem.objective_at(model)
    result = pinn_ngd.train_windows(
        objective, model, "engd-tr", windows=windows, seconds=options.seconds, key=0
    )
    return result.model, result.steps


def causally(problem: Problem, model: PyTree, options: argparse.Namespace) -> tuple[Any, int]:
    """Weights by the present residuals, then none; training time as the clock of runs counts it."""
    objective: Any = problem.objective_at(model)
    used, steps = 0.0, 0
    while used < options.seconds / 2 and causal_factors(objective, model).min() < SOLVED:
        weighed = causal(objective, model, options.strictness)
        begun = time.perf_counter()
        part = pinn_ngd.train(weighed, model, "engd-tr", steps=options.every, key=0, grow=False)
        used += time.perf_counter() - begun - part.compile_seconds
        steps += part.steps
        model = part.model
    left = max(options.seconds - used, 0.0)
    result = pinn_ngd.train(objective, model, "engd-tr", seconds=left, key=0)
    return result.model, steps + result.steps


def ways(counts: list[int]) -> dict[str, Way]:
    """What is compared, by name, with windows once for each of the numbers."""
    in_each = {f"{n} windows": functools.partial(in_windows, windows=n) for n in counts}
    return {"at once": at_once, **in_each, "causal weights": causally}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--windows", type=int, nargs="+", default=[4, 12])
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--strictness", type=float, default=1.0)
    options = parser.parse_args()
    print("| problem | seed | way | relative L2 error | steps |\n|---|---|---|---|---|", flush=True)
    for name in options.names:
        problem = pinn_ngd.load_problem(name)
        for seed in range(options.seeds):
            for way, train in ways(options.windows).items():
                start = problem.model(jax.random.key(seed))
                model, steps = train(problem, start, options)
                error = problem.evaluator()(model)["relative_l2"]
                print(f"| `{name}` | {seed} | {way} | {error:.1e} | {steps} |", flush=True)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
