"""What each part of `engd-tr` is worth: final errors after a fixed number of steps.

    python benchmarks/ablation.py           # about eight minutes on one core

The first table has fewer parameters than rows (the ENGD paper's network: 129 against 900), the
second more (921 against 572), the third changes the number of parameters at fixed rows. Numbers are
relative L2 errors on held-out points: median (worst) over the seeds, at the last step.
"""

import statistics

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem, train
from pinn_ngd.linalg import Spectral
from pinn_ngd.optimizers import Chord, Geodesic, Plain, TrustRegion

SEEDS = 3
VARIANTS = {
    "default": TrustRegion(),
    "no correction": TrustRegion(acceleration=Plain()),
    "geodesic acceleration": TrustRegion(acceleration=Geodesic()),
    "corrector with the step's own damping": TrustRegion(acceleration=Chord(relative_damping=1.0)),
    "one corrector iteration": TrustRegion(acceleration=Chord(iterations=1)),
    "acceptance 0.5 instead of 0.1": TrustRegion(acceptance=0.5),
    "Gram matrix always": TrustRegion(solver=Spectral(method="gram", refine=False)),
}


def errors(name: str, optimizer: TrustRegion, steps: int, seeds: int, **settings) -> str:
    """Median (worst) final error over the seeds."""
    problem = load_problem(name, **settings)
    evaluate = problem.evaluator()
    found = []
    for seed in range(seeds):
        result = train(
            problem.objective,
            problem.model(jax.random.key(seed)),
            optimizer,
            steps=steps,
            key=jax.random.key(seed),
            evaluate=evaluate,
            evaluate_every=steps,
        )
        found.append(result.measures["relative_l2"])
    return f"{statistics.median(found):.1e} ({max(found):.1e})"


def main() -> None:
    """Print the three tables."""
    small = dict(width=20, points=22)
    print("| variant | 129 parameters, 900 rows, 200 steps | 921 parameters, 572 rows, 35 steps |")
    print("|---|---|---|")
    for label, optimizer in VARIANTS.items():
        under = errors("poisson-2d-icml23", optimizer, 200, SEEDS)
        over = errors("poisson-2d", optimizer, 35, SEEDS, **small)
        print(f"| {label} | {under} | {over} |", flush=True)
    print("\n| width (three hidden layers) | parameters | 572 rows, 35 steps |")
    print("|---|---|---|")
    for width in (10, 14, 17, 20, 24, 28):
        parameters = 3 * width + 2 * width * (width + 1) + width + 1
        error = errors("poisson-2d", TrustRegion(), 35, SEEDS, width=width, points=22)
        print(f"| {width} | {parameters} | {error} |", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        main()
