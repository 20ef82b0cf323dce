"""Gaussian mixtures in every metric: relative L2 error of the density, and steps.

    python benchmarks/mixtures.py        # about five minutes

Natural gradients with the Armijo search, at most 1,000 steps or 20 seconds a run, from both starts
of the five-parameter mixture (steps of length 0.1 at most) and from the default start of the one
with twenty components. Everything is deterministic but the time.
"""

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import Problem, load_problem, metrics, optimizers, train


def cell(problem: Problem, metric: str) -> str:
    """Error and steps of one run."""
    settings = {**problem.optimizer_settings, "metric": metric}
    key = jax.random.key(0)
    try:
        result = train(
            problem.objective, problem.model(key), optimizers.get("wngd", **settings),
            steps=1000, seconds=20.0, key=key,
        )  # fmt: skip
    except ValueError as error:
        return str(error).partition(",")[0]
    if result.status == "failed":
        return result.message.partition(": ")[2].partition(",")[0]
    return f"{problem.evaluator()(result.model)['relative_l2']:.1e} ({result.steps})"


def main() -> None:
    """Print the table."""
    problems = [
        load_problem("gaussian-mixture", start=0),
        load_problem("gaussian-mixture", start=1),
        load_problem("gaussian-mixture-20"),
    ]
    print("| metric | five parameters, start 0 | start 1 | twenty components |")
    print("|---|---|---|---|")
    with threadpool_limits(limits=1, user_api="blas"):
        for name in metrics.names():
            cells = [cell(problem, name) for problem in problems]
            print("| " + " | ".join([f"`{name}`", *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
