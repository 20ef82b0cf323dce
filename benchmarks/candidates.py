"""Trying all dampings of a step at once against walking along them, in processor time.

    python benchmarks/candidates.py                                    # ten seeds: four minutes
    python benchmarks/candidates.py heat-1d-icml23 --seeds 3 --seconds 8

For the searches of `TrustRegion`: milliseconds a step, the seconds until the relative L2 error is
below 1e-6 and 1e-8, and the error at the end, medians over the seeds, and the worst error. Only
steps count, in processor time of one thread, so that other work on the machine matters little.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem
from pinn_ngd.linalg import QLP, Spectral
from pinn_ngd.optimizers import TrustRegion

LEVELS = (1e-6, 1e-8)
LOOKS = 200  # evaluations of the error in a run
VARIANTS = {
    "grid, SVD": TrustRegion(search="grid", solver=Spectral(refine=False)),
    "walk, SVD": TrustRegion(search="walk", solver=Spectral(refine=False)),
    "walk, QLP": TrustRegion(search="walk", solver=QLP()),
    "climb, QLP": TrustRegion(search="climb", solver=QLP()),
}


def run(problem, evaluate, step, optimizer, seed: int, budget: float) -> list[float]:
    """Milliseconds a step, the times of the levels, and the error at the end."""
    model, batch = problem.model(jax.random.key(seed)), problem.objective.batch(jax.random.key(0))
    state = optimizer.init(model, problem.objective, batch)
    jax.block_until_ready(step(model, state, batch, jax.random.key(0)))
    used, looked, steps, stop, error = 0.0, 0.0, 0, 0, np.inf
    reached = dict.fromkeys(LEVELS, np.inf)
    while used < budget and not stop:
        begun = time.process_time()
        model, state, info = step(model, state, batch, jax.random.key(steps))
        stop = int(info.stop)
        used, steps = used + time.process_time() - begun, steps + 1
        if used - looked > budget / LOOKS or used >= budget or stop:
            looked, error = used, float(evaluate(model)["relative_l2"])
            for level in LEVELS:
                if error < level:
                    reached[level] = min(reached[level], used)
    return [1e3 * used / steps, *reached.values(), error]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem", nargs="?", default="poisson-2d-icml23")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=12.0, help="processor time of a run")
    options = parser.parse_args()
    problem = load_problem(options.problem)
    evaluate = problem.evaluator()
    print("| search | ms a step | time to 1e-6 | time to 1e-8 | error: median | worst |")
    print("|---|---|---|---|---|---|")
    for name, optimizer in VARIANTS.items():
        step = eqx.filter_jit(
            lambda m, s, b, k, o=optimizer: o.step(m, s, problem.objective, b, key=k)
        )
        seeds = range(100, 100 + options.seeds)
        common = problem, evaluate, step, optimizer
        found = np.array([run(*common, seed, options.seconds) for seed in seeds])
        cells = [f"{x:.2f}" for x in np.median(found[:, :3], axis=0)]
        errors = found[:, 3]
        cells += [f"{np.median(errors):.1e}", f"{errors.max():.1e}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        main()
