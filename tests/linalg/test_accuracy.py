"""Every named solver on easy and hard systems, against solutions in rational arithmetic."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import LeastSquaresSystem, get_solver, solve, solver_names

SHAPES = {"tall": (16, 8), "wide": (8, 16)}
CASES = {
    "well-conditioned": 1e-8,
    "rank-deficient": 1e-4,
    "condition 1e12": 1e-10,
    "condition 1e12, small damping": 1e-14,
}

# The relative error that each solver must reach for the cases above, about ten times what was
# measured. With s_max = 1, eps = 2e-16 and damping d:
# - a backward stable solver of the damped matrix (QR, SVD) loses eps / sqrt(d): 2e-11 and 2e-9;
# - spectral solvers refine once; the QR route then equals QR, the Gram route squares its relative
#   error eps / d and so has 4e-4 left at d = 1e-14, where "auto" has switched to QR;
# - Cholesky factors the squared matrix and keeps eps / d: 2e-6 and 2e-2; QLP refines up to three
#   times where eps / d is below 1/45, and else takes QR;
# - CG sees the squared matrix too; it and LSMR stop at their tolerance for the residual, and a
#   residual of 1e-14 allows an error of 1e-14 / sqrt(d) = 1e-7 at d = 1e-14.
# - In the null space of a rank-deficient matrix, rounding errors eps |A| |b| are divided by d.
BOUNDS = {
    "qlp": (3e-15, 1e-11, 3e-10, 1e-8),
    "spectral": (3e-15, 1e-11, 3e-10, 1e-8),
    "spectral-gram": (3e-15, 1e-11, 3e-10, 4e-4),
    "spectral-qr": (3e-15, 1e-11, 3e-10, 1e-8),
    "qr": (5e-15, 1e-11, 3e-10, 1e-8),
    "svd": (1e-14, 1e-11, 3e-10, 1e-8),
    "cholesky": (5e-15, 2e-11, 2e-6, 2e-2),
    "cg": (5e-15, 5e-12, 2e-6, 1e-5),
    "lsmr": (5e-15, 5e-12, 5e-10, 1e-6),
}
# With only the gradient g = A^T b, a wide system divides eps |g| by the damping: eps / d = 2e-8.
GRADIENT_BOUNDS = {"tall": (2e-14, 1e-10), "wide": (5e-7, 5e-11)}


@pytest.fixture(scope="module")
def systems(conditioned, exact_solution):
    def build(rows, columns):
        rng = np.random.default_rng(1)
        # Products of small integers are exact, so this matrix has rank 5 to the last digit.
        factors = rng.integers(-4, 5, (rows, 5)), rng.integers(-4, 5, (5, columns))
        ill = conditioned(rows, columns, np.logspace(0, -12, 8))
        well = conditioned(rows, columns, np.linspace(1, 0.5, 8))
        matrices = well, (factors[0] @ factors[1]) / 64.0, ill, ill
        target = rng.normal(size=rows)
        return [
            (matrix, target, damping, exact_solution(matrix, target, damping))
            for matrix, damping in zip(matrices, CASES.values(), strict=True)
        ]

    return {shape: build(*sizes) for shape, sizes in SHAPES.items()}


@eqx.filter_jit
def _run(operator, name, kind, vector, damping, form="auto"):
    system = LeastSquaresSystem(operator, **{kind: vector}, damping=damping)
    return solve(system, get_solver(name), form=form)


def test_every_solver_has_bounds():
    # A device that is read at a finite time is held to its own law, in tests/spu/test_accuracy.py.
    assert set(BOUNDS) == set(solver_names()) - {"spu"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_target_form(name, shape, systems, dense, relative_error):
    for case, system, bound in zip(CASES, systems[shape], BOUNDS[name], strict=True):
        matrix, *arrays, expected = system
        solution = _run(dense(jnp.asarray(matrix)), name, "target", *map(jnp.asarray, arrays))
        succeeded = bool(solution.result == lx.RESULTS.successful)
        if name == "cg" and case.endswith("small damping") and not succeeded:
            continue  # Rounding stalls CG here; what counts is that it says so.
        error = relative_error(solution.value, expected)
        assert succeeded, case
        assert error < bound, f"{case}: {error:.1e}"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["spectral", "qr", "cholesky", "cg", "lsmr"])
def test_gradient_form(name, shape, systems, dense, relative_error):
    for case, bound in zip((0, 1), GRADIENT_BOUNDS[shape], strict=True):
        matrix, target, damping, expected = systems[shape][case]
        gradient = jnp.asarray(matrix.T @ target)
        operator = dense(jnp.asarray(matrix))
        solution = _run(operator, name, "gradient", gradient, jnp.asarray(damping))
        error = relative_error(solution.value, expected)
        assert error < bound, f"{list(CASES)[case]}: {error:.1e}"


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_form_of_ill_conditioned_systems(shape, systems, dense, relative_error):
    """No solver but Cholesky and CG squares the condition number, in the gradient form neither."""
    matrix, target, damping, expected = systems[shape][2]
    arrays = jnp.asarray(matrix.T @ target), jnp.asarray(damping)
    for name in ("spectral", "qr"):
        solution = _run(dense(jnp.asarray(matrix)), name, "gradient", *arrays, form="primal")
        assert relative_error(solution.value, expected) < 1e-9, name
