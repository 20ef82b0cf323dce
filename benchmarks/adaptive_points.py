"""Burgers' equation with a layer: fixed points, points that grow, and points that move (RAD).

    python benchmarks/adaptive_points.py --steps 100 --seeds 1

prints the relative L2 error at the end, the number of points and the seconds of each run.
"""

import argparse

import jax

jax.config.update("jax_enable_x64", True)
import pinn_ngd
from pinn_ngd import RAD


def ways(every: int) -> dict[str, dict]:
    return {
        "fixed": {"grow": False},
        "growing": {"grow": True},
        "RAD": {"grow": False, "callbacks": RAD(every)},
        "RAD, unbiased": {"grow": False, "callbacks": RAD(every, unbiased=True)},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--interior", type=int, default=512)
    options = parser.parse_args()
    problem = pinn_ngd.load_problem(
        "burgers-1d", width=options.width, depth=2, interior=options.interior, boundary=64
    )
    evaluate = problem.evaluator()
    for seed in range(options.seeds):
        for name, settings in ways(options.every).items():
            key = jax.random.key(seed)
            result = pinn_ngd.train(
                problem.objective, problem.model(key), "engd-tr", steps=options.steps,
                key=key, **settings,
            )  # fmt: skip
            error = evaluate(result.model)["relative_l2"]
            points = result.history[-1]["points"]
            print(
                f"{seed} {name:14} {error:.1e} {points} points {result.seconds:.0f} s", flush=True
            )


if __name__ == "__main__":
    main()
