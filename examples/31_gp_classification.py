"""Two classes with a curved boundary: natural gradients of a sparse Gaussian process, and Adam.

Both train the kernel, the inducing inputs and the approximate posterior on the same minibatches.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax

jax.config.update("jax_enable_x64", True)
import pinn_ngd
from pinn_ngd import load_problem, optimizers


def main(steps: int = 1000) -> dict[str, dict[str, float]]:
    """Bound of all training data, NLPD and accuracy of the test data, for both."""
    problem = load_problem("banana-gp")
    methods = {
        "natural gradient": optimizers.get("ngd-gp", gamma=0.1, ramp=100, rate=1e-2),
        "adam": optimizers.get("adam", rate=1e-2),
    }
    found = {}
    for name, optimizer in methods.items():
        result = pinn_ngd.train(
            problem.objective,
            problem.model(None),
            optimizer,
            steps=steps,
            key=123,
            evaluate=problem.scores,
            evaluate_every=steps,
        )
        found[name] = result.measures
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in result.measures.items())
        print(f"{name:17s} {numbers}, {result.seconds:.1f} s")
    return found


if __name__ == "__main__":
    main()
