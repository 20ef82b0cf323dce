"""Darcy: the forward problem against a dense solve, and a small inversion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import load_problem, optimizers, train
from pinn_ngd.experiments import check_problem

SMALL = dict(cells=24, stride=2, iterations=15)


@pytest.mark.slow
def test_pressures_solve_the_dense_system():
    problem = load_problem("darcy-inverse", **SMALL)
    state, model = problem.objective.state, problem.exact
    u = state(model)
    matrix = jax.jacfwd(lambda v: state.residual(v, model))(jnp.zeros_like(u))
    expected = jnp.linalg.solve(matrix.reshape(u.size, u.size), jnp.ones(u.size))
    np.testing.assert_allclose(u.ravel(), expected, rtol=1e-11)


@pytest.mark.slow
def test_it_passes_its_own_checks():
    assert all(check.passed for check in check_problem(load_problem("darcy-inverse", **SMALL)))


@pytest.mark.slow
def test_the_misfit_falls_to_the_noise():
    problem = load_problem("darcy-inverse", **SMALL)
    optimizer = optimizers.get(problem.optimizer, **problem.optimizer_settings)
    model = problem.model(jax.random.key(0))
    start = problem.evaluator()(model)["relative_l2"]
    result = train(problem.objective, model, optimizer, steps=8, key=jax.random.key(0))
    observations = (24 // 2) ** 2
    assert result.loss < observations  # 1/2 of the squared misfit in standard deviations
    assert problem.evaluator()(result.model)["relative_l2"] < 0.5 * start
