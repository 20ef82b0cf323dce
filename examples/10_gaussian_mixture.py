"""One misfit of two densities, four metrics: where do their natural gradients go?

The state is a mixture of two Gaussians on a grid, its five parameters are free. Every step is the
least-squares problem min |Y d - b| of its metric; nothing else differs.
"""

import jax

jax.config.update("jax_enable_x64", True)

import pinn_ngd
from pinn_ngd import load_problem, optimizers

METRICS = ("euclidean", "l2", "fisher-rao", "wasserstein")


def main(steps: int = 300) -> dict[str, float]:
    """Relative L2 error of the density after training in every metric."""
    problem = load_problem("gaussian-mixture", free="all")
    evaluate = problem.evaluator()
    errors = {}
    for name in METRICS:
        result = pinn_ngd.train(
            problem.objective,
            problem.model(jax.random.key(0)),
            optimizers.get("wngd", metric=name, norm_limit=0.1),
            steps=steps,
            key=jax.random.key(0),
        )
        errors[name] = evaluate(result.model)["relative_l2"]
        print(f"{name:12s} error {errors[name]:.1e} after {result.steps} steps: {result.message}")
    return errors


if __name__ == "__main__":
    main()
