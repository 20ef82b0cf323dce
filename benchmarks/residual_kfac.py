"""Optimizers of residuals beside one another, at equal processor time.

    python benchmarks/residual_kfac.py PROBLEM OPTIMIZER[:name=value] ... [--seconds S] [--seed N]
        [--after OPTIMIZER --after-seconds S]

Held-out relative L2 errors and steps after an eighth, a quarter, a half and all of S processor
seconds of training without compilation, on points that stay as they are. With `--after` all start
where that optimizer is after so many seconds of its own, which are not counted.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.processor_time import errors_by_time
from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments.comparison import split_label

PARTS = (0.125, 0.25, 0.5, 1.0)


def made(label: str) -> Any:
    name, settings = split_label(label)
    return optimizers.get(name, **settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("optimizers", nargs="+")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--after")
    parser.add_argument("--after-seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    problem, marks = load_problem(chosen.problem), [chosen.seconds * part for part in PARTS]
    model = None
    if chosen.after:
        first, seconds = made(chosen.after), [chosen.after_seconds]
        (start,) = errors_by_time(problem, first, seconds, chosen.seed)
        model = start.model
        print(f"All start at {start.error:.1e}, after {start.steps} steps of {chosen.after}.\n")
    heads = " | ".join(f"{mark:g} s" for mark in marks)
    print(f"| optimizer | {heads} |\n|---|" + "---:|" * len(marks), flush=True)
    for label in chosen.optimizers:
        found = errors_by_time(problem, made(label), marks, chosen.seed, model)
        cells = " | ".join(f"{reading.error:.1e} ({reading.steps})" for reading in found)
        print(f"| `{label}` | {cells} |", flush=True)


if __name__ == "__main__":
    main()
