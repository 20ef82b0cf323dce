"""The problems on curved domains: what they solve, and that a few steps go the right way."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import laplacian, load_problem


def test_the_exact_solution_solves_the_equation_on_the_disk():
    problem = load_problem("disk-poisson-nonlinear")
    blocks = problem.objective.residuals(problem.exact, problem.objective.batch())
    assert max(float(jnp.max(jnp.abs(block))) for block in blocks) < 1e-13


def test_the_singular_function_is_harmonic_and_vanishes_at_the_corner_edges():
    problem = load_problem("l-shape")
    x = jnp.asarray([[0.3, 0.4], [-0.5, -0.6], [-0.2, 0.7]])
    np.testing.assert_allclose(jax.vmap(laplacian(problem.exact))(x), 0.0, atol=1e-13)
    edges = jnp.asarray([[0.5, 0.0], [0.0, -0.5], [-0.0, -1.0]])
    np.testing.assert_allclose(jax.vmap(problem.exact)(edges), 0.0, atol=1e-15)
    angle = 2 * np.pi / 3 * np.asarray([0.5, 1.0])
    ends = jnp.asarray([[0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(jax.vmap(problem.exact)(ends), np.sin(angle), rtol=1e-14)


@pytest.mark.slow
def test_kirschs_plate_is_in_equilibrium_and_free_of_traction_at_the_hole():
    """Every term vanishes, and the stress on top of the hole is three times the one far away."""
    problem = load_problem("plate-with-hole")
    blocks = problem.objective.residuals(problem.exact, problem.objective.batch())
    assert max(float(jnp.max(jnp.abs(block))) for block in blocks) < 1e-12
    stress = vars(sys.modules[problem.objective.terms[1].fn.__module__])["stress"](problem.exact)
    assert float(stress(jnp.asarray([0.0, 0.3]))[0, 0]) == pytest.approx(3 * 2, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("disk-poisson-nonlinear", {"width": 8, "points": 4}),
        ("plate-with-hole", {"width": 8, "points": 4, "boundary_points": 5}),
        ("l-shape", {"width": 5, "points": 4, "singular": True}),
    ],
)
def test_a_few_steps_reduce_the_error(name, settings):
    problem = load_problem(name, **settings)
    model, error = problem.model(jax.random.key(0)), problem.evaluator()
    result = pinn_ngd.train(problem.objective, model, "engd-tr", steps=12, key=0, grow=False)
    assert error(result.model)["relative_l2"] < 0.1 * error(model)["relative_l2"]
