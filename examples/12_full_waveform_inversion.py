"""Find a disk from waves that crossed it: natural gradient against gradient descent.

Both see the same seismograms and pay in about the same currency. The natural gradient solves its
least-squares problem with a few LSMR iterations, each of one linearized and one adjoint simulation,
which is what a gradient costs too; the Jacobian (samples x cells) is never stored.
"""

import jax

jax.config.update("jax_enable_x64", True)

import pinn_ngd
from pinn_ngd import load_problem, optimizers
from pinn_ngd.linalg import LSMR

ITERATIONS = 10
RUNS = {  # metric, solver, steps: 4 x 10 products with Z and Z^T, and 40 gradients
    "natural gradient": ("l2", LSMR(rtol=1e-6, atol=1e-6, max_steps=ITERATIONS), 4),
    "gradient descent": ("euclidean", None, 40),
}


def main(cells: int = 31, shots: int = 3) -> dict[str, tuple[float, float]]:
    """Misfit and relative error of the velocity after each."""
    problem = load_problem(
        "fwi-camembert", cells=cells, shots=shots, duration=0.7, absorbing=12, frequency=5.0
    )
    evaluate, found = problem.evaluator(), {}
    start = problem.model(jax.random.key(0))
    print(f"{'start':17s} misfit {problem.objective.loss(start, ()):.2e}")
    for name, (metric, solver, steps) in RUNS.items():
        optimizer = optimizers.get(
            "wngd",
            metric=metric,
            solver=solver,
            form="matrix-free" if solver is not None else "auto",
            damping=0.0,
            bounds=(2.0, 3.5),
        )
        result = pinn_ngd.train(
            problem.objective, start, optimizer, steps=steps, key=jax.random.key(0)
        )
        found[name] = result.loss, evaluate(result.model)["relative_l2"]
        print(f"{name:17s} misfit {found[name][0]:.2e}  velocity error {found[name][1]:.1e}")
    return found


if __name__ == "__main__":
    main()
