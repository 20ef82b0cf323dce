"""Poisson on the unit square: a shipped problem from Python, in five calls.

Run `python examples/01_poisson.py`; it prints the relative L2 error on held-out points.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax

jax.config.update("jax_enable_x64", True)

import pinn_ngd


def main(
    seconds: float | None = 20.0, seed: int = 0, steps: int | None = None, **settings
) -> float:
    problem = pinn_ngd.load_problem("poisson-2d-icml23", **settings)
    result = pinn_ngd.train(
        problem.objective,
        problem.model(jax.random.key(seed)),
        pinn_ngd.optimizers.get("engd-tr"),
        seconds=seconds,
        steps=steps,
        key=jax.random.key(seed),
        evaluate=problem.evaluator(),
        grow=not problem.fixed_points,
    )
    error = result.measures["relative_l2"]
    print(f"relative L2 error {error:.1e} after {result.steps} steps, {result.seconds:.1f} s")
    print(result.message)
    return error


if __name__ == "__main__":
    main()
