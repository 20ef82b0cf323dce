"""Rows of the Jacobian in float32, everything else in float64: what is saved and what is lost.

    python benchmarks/assembly_precision.py [PROBLEM] [--steps N] [--seeds K] [--rows-only]

Held-out relative L2 errors of `engd-tr` after a quarter, a half and all of N steps on fixed points,
with rows in both precisions and with residuals, factorizations and solutions in float64, and the
processor milliseconds in which the rows are made. Seeds 0, 1, ...
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp

from pinn_ngd import load_problem, optimizers
from pinn_ngd.linalg import JacobianRows, LeastSquaresSystem
from pinn_ngd.metrics import EnergyMetric
from pinn_ngd.training.advance import as_arrays

PARTS = (0.25, 0.5, 1.0)
REPEATS = 5


def single(tree):
    """Floating-point arrays in float32."""

    def one(leaf):
        return leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(one, tree)


class SingleRows(EnergyMetric):
    """The energy metric with rows that are computed in float32, and a target in float64."""

    def system(self, objective, model, batch, *, matrix_free=False):
        assert not matrix_free
        rows = single(objective).system(single(model), single(batch)).operator.as_matrix()
        target = objective.evaluate(model, batch).right_hand_side
        params = eqx.filter(model, eqx.is_inexact_array)
        structures = jax.eval_shape(lambda: params), jax.eval_shape(lambda: target)
        assert rows.dtype == jnp.float32
        return LeastSquaresSystem(JacobianRows(rows.astype(float), *structures), target)


METRICS = {"float64": EnergyMetric(), "float32": SingleRows()}


def errors(problem, metric, seed, marks):
    objective, batch = problem.objective, problem.objective.batch(jax.random.key(seed))
    optimizer = optimizers.get("engd-tr", metric=metric)
    model, error = as_arrays(problem.model(jax.random.key(seed))), problem.errors()
    state, found = as_arrays(optimizer.init(model, objective, batch)), []

    @eqx.filter_jit
    def step(model, state, key):
        return optimizer.step(model, state, objective, batch, key=key)[:2]

    for number in range(1, marks[-1] + 1):
        model, state = step(model, state, jax.random.key(number))
        if number in marks:
            found.append(f"{error(model)['relative_l2']:.1e}")
    return found


def milliseconds(problem, metric):
    """The least of some times in which the rows of the first model are made."""
    objective, batch = problem.objective, problem.objective.batch(jax.random.key(0))
    model = as_arrays(problem.model(jax.random.key(0)))

    @eqx.filter_jit
    def rows(model):
        return metric.system(objective, model, batch).operator.as_matrix()

    jax.block_until_ready(rows(model))
    times = []
    for _ in range(REPEATS):
        begun = time.process_time()
        jax.block_until_ready(rows(model))
        times.append(time.process_time() - begun)
    return 1e3 * min(times)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem", nargs="?", default="poisson-2d-icml23")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows-only", action="store_true")
    chosen = parser.parse_args()
    problem = load_problem(chosen.problem)
    for name, metric in METRICS.items():
        print(f"rows in {name}: {milliseconds(problem, metric):.3g} ms", flush=True)
    if chosen.rows_only:
        return
    marks = [round(chosen.steps * part) for part in PARTS]
    print("\n| rows | seed | " + " | ".join(f"{mark} steps" for mark in marks) + " |")
    print("|---|---:|" + "---:|" * len(marks))
    for seed in range(chosen.seeds):
        for name, metric in METRICS.items():
            cells = errors(problem, metric, seed, marks)
            print(f"| {name} | {seed} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
