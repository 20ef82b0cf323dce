"""Digits classified by thermodynamic natural gradient: time leads from SGD to natural gradient.

A simulated analog device solves (A^T A + damping) d = g; read at time 0 it returns the gradient
g, much later the natural gradient. Needs `pip install 'pinn-ngd[data]'`.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax

import pinn_ngd
from pinn_ngd import load_problem, optimizers


def main(steps: int = 100, times: tuple[float, ...] = (0.0, 1.0, 10.0)) -> dict[str, float]:
    """Test accuracy after so many batches of 64, for devices read at these times, and for Adam."""
    problem = load_problem("classify-digits")
    device = dict(rate=0.1, damping=1.0)
    methods = {f"tngd, time {time:g}": ("tngd", dict(time=time, **device)) for time in times}
    methods["adam"] = ("adam", dict(rate=3e-3))
    accuracy = {}
    for label, (name, settings) in methods.items():
        result = pinn_ngd.train(
            problem.objective,
            problem.model(jax.random.key(0)),
            optimizers.get(name, **settings),
            steps=steps,
            key=jax.random.key(0),
            evaluate=problem.evaluator(),
            evaluate_every=steps,
        )
        accuracy[label] = result.measures["test_accuracy"]
        print(f"{label:14s} {100 * accuracy[label]:.1f} % right, {result.seconds:.1f} s")
    return accuracy


if __name__ == "__main__":
    main()
