"""The multiscale problem in weak and in strong form, and by finite elements.

    python benchmarks/weak_forms.py --steps 100 --seeds 3        # networks
    python benchmarks/weak_forms.py --fem                        # needs only NumPy and scikit-fem

Prints median (worst) *final* relative errors from seeds 100, 101, ..., in L2 and H1 and, in L2, of
the solution that the run would return, with the seconds of training, compilation not counted.
Finite elements have the degree of the test functions, on 4, 16 and 64 cells a period.
"""

import argparse
import statistics
import time

import numpy as np

PERIODS = 16
FORMS = {"weak": True, "strong": False}
NETWORKS = ("two-scales", "plain")


def trained(names: list[str], steps: int, seeds: int) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    import pinn_ngd

    for network in names:
        for form, weak in FORMS.items():
            problem = pinn_ngd.load_problem(
                "multiscale-weak", weak=weak, network=network, periods=PERIODS
            )
            found = []
            for seed in range(100, 100 + seeds):
                key = jax.random.key(seed)
                result = pinn_ngd.train(
                    problem.objective, problem.model(key), "engd-tr", key=key, steps=steps
                )
                measures = problem.evaluator(h1=True)
                returned = measures(result.solution)["relative_l2"]
                numbers = measures(result.model) | {"returned": returned}
                found.append({**numbers, "seconds": result.seconds})
            print(f"| {network} | {form} | {_cells(found)} |", flush=True)


def _cells(found: list[dict[str, float]]) -> str:
    def both(name: str) -> str:
        values = [numbers[name] for numbers in found]
        return f"{statistics.median(values):.1e} ({max(values):.1e})"

    seconds = statistics.median(numbers["seconds"] for numbers in found)
    errors = " | ".join(map(both, ("relative_l2", "relative_h1", "returned")))
    return f"{errors} | {seconds:.0f} s"


def finite_elements(degree: int = 4) -> None:
    import skfem  # pyright: ignore[reportMissingImports]

    def coefficient(x: np.ndarray) -> np.ndarray:
        return 1 / (2 + np.cos(2 * np.pi * PERIODS * x))

    @skfem.BilinearForm
    def stiffness(u, v, w):
        return coefficient(w.x[0]) * u.grad[0] * v.grad[0]

    @skfem.LinearForm
    def load(v, _):
        return v

    for cells in (4, 16, 64):
        start = time.perf_counter()
        mesh = skfem.MeshLine(np.linspace(0, 1, cells * PERIODS + 1))
        basis = skfem.Basis(mesh, skfem.ElementLinePp(degree), intorder=4 * degree)
        matrix, vector = stiffness.assemble(basis), load.assemble(basis)
        ends = basis.get_dofs().flatten()
        solution = skfem.solve(*skfem.condense(matrix, vector, D=ends))
        seconds = time.perf_counter() - start
        errors = _fem_errors(basis, solution)
        print(
            f"| elements of degree {degree}, {basis.N} unknowns | weak "
            f"| {errors} | | {seconds:.2f} s |"
        )


def _fem_errors(basis, solution) -> str:
    k = 2 * np.pi * PERIODS
    x, weights = basis.global_coordinates().value[0], basis.dx
    u = x - x**2 + (0.5 - x) * np.sin(k * x) / k + (1 - np.cos(k * x)) / k**2
    slope = (0.5 - x) * (2 + np.cos(k * x))
    field = basis.interpolate(solution)
    gaps = [
        np.sum(weights * (field.value - u) ** 2),
        np.sum(weights * (field.grad[0] - slope) ** 2),
    ]
    sizes = [np.sum(weights * u**2), np.sum(weights * slope**2)]
    return f"{np.sqrt(gaps[0] / sizes[0]):.1e} | {np.sqrt(sum(gaps) / sum(sizes)):.1e}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Weak and strong forms")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--fem", action="store_true")
    chosen = parser.parse_args()
    finite_elements() if chosen.fem else trained(chosen.networks, chosen.steps, chosen.seeds)
