"""Optimizers of residuals beside one another, at equal processor time.

    python benchmarks/residual_kfac.py PROBLEM OPTIMIZER[:name=value] ... [--seconds S] [--seed N]
        [--after OPTIMIZER --after-seconds S]

Held-out relative L2 errors and steps after an eighth, a quarter, a half and all of S processor
seconds of training without compilation, on points that stay as they are. With `--after` all start
where that optimizer is after so many seconds of its own, which are not counted.
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


class Training:
    """A model, its optimizer, and the processor seconds and steps that it has taken."""

    def __init__(self, problem, optimizer, model, seed):
        objective, self.key = problem.objective, jax.random.key(seed)
        batch = objective.batch(self.key)
        self.optimizer, self.model = optimizer, model
        self.state = as_arrays(optimizer.init(model, objective, batch))
        self.seconds, self.steps = 0.0, 0

        @eqx.filter_jit
        def step(model, state, key):
            return optimizer.step(model, state, objective, batch, key=key)[:2]

        self.step = step
        step(self.model, self.state, self.key)  # compile

    def until(self, seconds):
        """The model that is returned after so many seconds."""
        while self.seconds < seconds:
            begun, key = time.process_time(), jax.random.fold_in(self.key, self.steps)
            self.model, self.state = self.step(self.model, self.state, key)
            jax.block_until_ready(eqx.filter((self.model, self.state), eqx.is_array))
            self.seconds += time.process_time() - begun
            self.steps += 1
        return self.optimizer.answer(self.model, self.state)


def made(label):
    name, settings = split_label(label)
    return optimizers.get(name, **settings)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("optimizers", nargs="+")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--after")
    parser.add_argument("--after-seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    problem = load_problem(chosen.problem)
    error, marks = problem.errors(), [chosen.seconds * part for part in PARTS]
    model = as_arrays(problem.model(jax.random.key(chosen.seed)))
    if chosen.after:
        first = Training(problem, made(chosen.after), model, chosen.seed)
        model = as_arrays(first.until(chosen.after_seconds))
        found = error(model)["relative_l2"]
        print(f"All start at {found:.1e}, after {first.steps} steps of {chosen.after}.\n")
    print("| optimizer | " + " | ".join(f"{mark:g} s" for mark in marks) + " |")
    print("|---|" + "---:|" * len(marks), flush=True)
    for label in chosen.optimizers:
        training, cells = Training(problem, made(label), model, chosen.seed), []
        for mark in marks:
            found = error(training.until(mark))["relative_l2"]
            cells.append(f"{found:.1e} ({training.steps})")
        print(f"| `{label}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
