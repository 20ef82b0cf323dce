"""What a numerical analyst would use where the domain is a box: a polynomial instead of a network.

    python benchmarks/spectral.py                     # writes benchmarks/results/spectral.json
    python benchmarks/spectral.py poisson-2d kovasznay

The same equations, points (more of them) and held-out points as `pinn-ngd solve`, but u is a tensor
product of Chebyshev polynomials in each coordinate, of a degree that is raised as long as the loss
at other points falls by half. A linear equation then is one linear least-squares problem, which one
undamped Gauss-Newton step solves; a nonlinear one takes a few. Printed are the degree, the
coefficients, the relative L2 error and the processor seconds of the last degree, compilation not
counted. `reaction` is left out: from u = 0, a state of rest, Gauss-Newton steps lead nowhere.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem
from pinn_ngd.evaluation.clenshaw import chebyshev_series

RESULTS = Path(__file__).parent / "results" / "spectral.json"
# Problems of points on a box, whose number the file lets one choose, by the degrees to try.
DEGREES = {
    "poisson-2d": (8, 12, 16, 20, 24),
    "heat-1d": (8, 12, 16, 20, 24),
    "wave-1d": (16, 20, 24, 28, 32, 36),
    "helmholtz": (16, 20, 24, 28, 32),
    "kovasznay": (8, 12, 16, 20, 24),
    "beam": (8, 12, 16, 20),
    "advection-diffusion": (16, 32, 64, 96),
    "multiscale-poisson": (32, 40, 48, 56),
}
STEPS = 8  # Gauss-Newton steps at the most
EXTRA = 8  # points a coordinate beyond the degree


class Chebyshev(eqx.Module):
    """u(x) = sum of c_ij... T_i(y_1) T_j(y_2)..., y the coordinates scaled to (-1, 1).

    `coefficients` has a leading axis of components unless u is a scalar.
    """

    coefficients: Float[Array, "..."]
    lower: Float[Array, " d"] = eqx.field(converter=jax.lax.stop_gradient)
    extents: Float[Array, " d"]
    scalar: bool = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Array:
        y = 2 * (x - self.lower) / self.extents - 1
        value = self.coefficients
        for coordinate in y[::-1]:  # the last axis first
            *others, n = value.shape
            value = chebyshev_series(value.reshape(-1, n), coordinate).reshape(others)
        return value if not self.scalar else value[0]


def series(problem: Any, degree: int) -> Chebyshev:
    """The zero polynomial with as many components as the model of the problem has."""
    shape = jax.eval_shape(problem.exact, problem.evaluation.points[0]).shape
    dimension = problem.domain.dimension
    components = shape[0] if shape else 1
    zero = jnp.zeros((components, *(degree + 1,) * dimension))
    lower, extents = (jnp.asarray(v, float) for v in (problem.domain.lower, problem.domain.extents))
    return Chebyshev(zero, lower, extents, not shape)


def solve(problem: Any, start: Chebyshev) -> tuple[Chebyshev, float]:
    """Gauss-Newton steps until the loss falls by less than half, and their processor seconds."""
    batch = problem.objective.batch(jax.random.key(0))

    def residuals(coefficients: Array) -> Array:
        model = eqx.tree_at(lambda m: m.coefficients, start, coefficients.reshape(shape))
        parts = problem.objective.evaluate(model, batch).right_hand_side
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(parts)])

    shape = start.coefficients.shape
    best = start.coefficients.ravel()
    value = jax.jit(residuals).lower(best).compile()
    jacobian = jax.jit(jax.jacfwd(residuals)).lower(best).compile()
    begun = time.process_time()
    loss = float(jnp.sum(value(best) ** 2))
    for _ in range(STEPS):
        q, r = np.linalg.qr(jacobian(best))
        step = solve_triangular(r, q.T @ value(best))
        after = float(jnp.sum(value(best - step) ** 2))
        if not after < loss:
            break
        enough = after > 0.5 * loss
        best, loss = best - step, after
        if enough:
            break
    seconds = time.process_time() - begun
    return eqx.tree_at(lambda m: m.coefficients, start, best.reshape(shape)), seconds


def relative_error(problem: Any, model: Chebyshev) -> float:
    points, weights = problem.evaluation.points, problem.evaluation.weights
    truth = jax.vmap(problem.exact)(points)
    wrong = (jax.jit(jax.vmap(model))(points) - truth).reshape(len(points), -1)
    truth = truth.reshape(len(points), -1)
    return float(jnp.sqrt((weights @ wrong**2).sum() / (weights @ truth**2).sum()))


def held_out(problem: Any, model: Chebyshev, degree: int) -> float:
    """The loss at more points than the coefficients were fitted to."""
    other = load_problem(problem.name, points=2 * degree).objective
    return float(jax.jit(lambda m: other.loss(m, other.batch(jax.random.key(1))))(model))


def best_of(name: str) -> dict[str, Any]:
    """The last degree at which the held-out loss still fell by half."""
    found, before = {}, float("inf")
    for degree in DEGREES[name]:
        problem = load_problem(name, points=degree + EXTRA)
        model, seconds = solve(problem, series(problem, degree))
        loss = held_out(problem, model, degree)
        if loss > 0.5 * before:
            break
        before = loss
        found = {
            "problem": name,
            "degree": degree,
            "coefficients": model.coefficients.size,
            "relative_l2": relative_error(problem, model),
            "seconds": seconds,
        }
    return found


def main() -> None:
    """Solve what the command line names and write all numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(DEGREES))
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    rows = {row["problem"]: row for row in known}
    heads = ("problem", "degree", "coefficients", "relative L2 error", "seconds")
    print("| " + " | ".join(heads) + " |\n|---|---:|---:|---:|---:|")
    line = "| {problem} | {degree} | {coefficients} | {relative_l2:.1e} | {seconds:.2g} |"
    with threadpool_limits(limits=1, user_api="blas"):
        for name in parser.parse_args().problems:
            rows[name] = best_of(name)
            print(line.format(**rows[name]), flush=True)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps([*rows.values()], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
