"""What a step of the energy natural gradient costs in steps of Adam, and where it goes.

    python benchmarks/cost_ratio.py
    python benchmarks/cost_ratio.py poisson-5d-icml23 --repeats 20

The networks and points of Mueller and Zeinhofer (ICML 2023). Each step is one compiled program on
one core; its operations are XLA's own count, which leaves LAPACK's out. `engd` without its line
search, and its rows alone, show the parts.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.timing import median_ms
from pinn_ngd import load_problem, optimizers

PROBLEMS = ("poisson-2d-icml23", "heat-1d-icml23", "poisson-5d-icml23")
OPTIMIZERS = ("adam", "engd", "engd-tr")


def parts(name: str) -> dict[str, tuple[Callable[..., Any], tuple]]:
    """The programs that are compared, and what they are called with."""
    problem, key = load_problem(name), jax.random.key(0)
    objective, model = problem.objective, problem.model(key)
    batch = objective.batch(key)
    found: dict[str, tuple[Callable[..., Any], tuple]] = {}
    for label in OPTIMIZERS:
        optimizer = optimizers.get(label)

        def step(model: Any, state: Any, optimizer: Any = optimizer) -> Any:
            new, after, info = optimizer.step(model, state, objective, batch, key=key)
            return eqx.filter(new, eqx.is_array), after, info.loss

        found[label] = (step, (model, optimizer.init(model, objective, batch)))
    found["one value of the loss"] = (lambda m: objective.loss(m, batch), (model,))

    def rows(model: Any) -> Any:
        system = objective.system(model, batch)
        return system.operator.as_matrix()

    found["rows of the Jacobian"] = (rows, (model,))
    return found


def main() -> None:
    """Print a table for each problem."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    for name in options.problems:
        print(f"\n| {name} | ms | of a step of Adam | million operations |\n|---|---:|---:|---:|")
        adam = None
        for label, (program, arguments) in parts(name).items():
            compiled = eqx.filter_jit(program).lower(*arguments).compile()
            count = compiled.compiled.cost_analysis().get("flops", float("nan")) / 1e6
            taken = median_ms(lambda c=compiled, a=arguments: c(*a), options.repeats)
            adam = adam or taken
            print(f"| {label} | {taken:.2f} | {taken / adam:.1f} | {count:,.1f} |", flush=True)


if __name__ == "__main__":
    main()
