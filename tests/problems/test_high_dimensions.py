"""Equations in five and ten dimensions: small runs of them come to their solutions."""

import jax
import pytest

import pinn_ngd
from pinn_ngd import load_problem


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "small", "steps", "network", "solution"),
    [
        ("heat-4d", dict(width=32, interior=1024, boundary=256, initial=128), 40, 1e-3, 1e-3),
        ("poisson-10d", dict(width=48, interior=1000, boundary=1000), 15, 1e-2, 1e-3),
    ],
)
def test_a_small_run_approaches_the_solution(name, small, steps, network, solution):
    problem, key = load_problem(name, **small), jax.random.key(100)
    result = pinn_ngd.train(
        problem.objective, problem.model(key), "engd-tr", steps=steps, key=key, grow=False
    )
    error = problem.evaluator()
    assert error(result.model)["relative_l2"] < network
    assert error(result.solution)["relative_l2"] < solution
