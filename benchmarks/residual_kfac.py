"""K-FAC for residuals beside other optimizers, at equal processor time.

    python benchmarks/residual_kfac.py PROBLEM OPTIMIZER[:name=value] ... [--seconds S] [--seed N]

Held-out relative L2 errors and steps after an eighth, a quarter, a half and all of S processor
seconds of training without compilation, on points that stay as they are.
"""

import argparse
import sys
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments.comparison import split_label

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.processor_time import errors_by_time

PARTS = (0.125, 0.25, 0.5, 1.0)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("optimizers", nargs="+")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=100)
    chosen = parser.parse_args()
    problem, marks = load_problem(chosen.problem), [chosen.seconds * part for part in PARTS]
    heads = " | ".join(f"{mark:g} s" for mark in marks)
    print(f"| optimizer | {heads} |\n|---|" + "---:|" * len(marks), flush=True)
    for label in chosen.optimizers:
        name, settings = split_label(label)
        optimizer = optimizers.get(name, **settings)
        found = errors_by_time(problem, optimizer, marks, chosen.seed)
        cells = " | ".join(f"{reading.error:.1e} ({reading.steps})" for reading in found)
        print(f"| `{label}` | {cells} |", flush=True)


if __name__ == "__main__":
    main()
