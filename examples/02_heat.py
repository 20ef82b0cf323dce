"""The heat equation in space-time, with an optimizer taken apart.

Compares the plain damped step with the curvature-corrected one on the same network and points.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax

jax.config.update("jax_enable_x64", True)

import pinn_ngd
from pinn_ngd.optimizers import Chord, Plain, TrustRegion


def main(steps: int = 100, seed: int = 0, **settings) -> dict[str, float]:
    problem = pinn_ngd.load_problem("heat-1d-icml23", **settings)
    evaluate = problem.evaluator()
    errors = {}
    for name, acceleration in [("plain", Plain()), ("chord", Chord(iterations=4))]:
        result = pinn_ngd.train(
            problem.objective,
            problem.model(jax.random.key(seed)),
            TrustRegion(acceleration=acceleration),
            steps=steps,
            key=jax.random.key(seed),
            evaluate=evaluate,
        )
        errors[name] = result.measures["relative_l2"]
        print(f"{name:>6}: relative L2 {errors[name]:.1e}, {result.seconds:.1f} s")
    return errors


if __name__ == "__main__":
    main()
