"""K-FAC for residuals beside other optimizers, at equal processor time.

    python benchmarks/residual_kfac.py PROBLEM OPTIMIZER[:name=value] ... [--seconds S] [--seed N]

Held-out relative L2 errors and steps after an eighth, a quarter, a half and all of S processor
seconds of training without compilation, on points that stay as they are.
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)

from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments.comparison import split_label
from pinn_ngd.training.advance import as_arrays

PARTS = (0.125, 0.25, 0.5, 1.0)


def run(problem, optimizer, seconds, seed):
    """Errors and steps at the marks."""
    objective, key = problem.objective, jax.random.key(seed)
    batch, error = objective.batch(key), problem.errors()
    model = as_arrays(problem.model(key))
    state = as_arrays(optimizer.init(model, objective, batch))

    @eqx.filter_jit
    def step(model, state, key):
        return optimizer.step(model, state, objective, batch, key=key)[:2]

    step(model, state, key)  # compile
    used, steps, found = 0.0, 0, []
    for mark in (seconds * part for part in PARTS):
        while used < mark:
            begun = time.process_time()
            model, state = step(model, state, jax.random.fold_in(key, steps))
            jax.block_until_ready(eqx.filter((model, state), eqx.is_array))
            used, steps = used + time.process_time() - begun, steps + 1
        found.append(f"{error(optimizer.answer(model, state))['relative_l2']:.1e} ({steps})")
    return found


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("optimizers", nargs="+")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=100)
    chosen = parser.parse_args()
    problem = load_problem(chosen.problem)
    marks = [f"{chosen.seconds * part:g} s" for part in PARTS]
    print("| optimizer | " + " | ".join(marks) + " |\n|---|" + "---:|" * len(marks), flush=True)
    for label in chosen.optimizers:
        name, settings = split_label(label)
        cells = run(problem, optimizers.get(name, **settings), chosen.seconds, chosen.seed)
        print(f"| `{label}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
