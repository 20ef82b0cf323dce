"""Inverse, eigenvalue and parametric problems: their exact solutions, and what runs find."""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import Positive, WithUnknowns, l_shape, load_problem, relative_l2
from pinn_ngd.evaluation import sweep
from pinn_ngd.geometry import GaussLegendre
from pinn_ngd.validation import posterior

FOLDER = pathlib.Path(__file__).parents[2] / "problems"


def file(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def losses(problem, model, but=()):
    """The loss of every term at a model, without some."""
    objective = problem.objective
    sums = objective.point_losses(model, objective.batch(None))
    named = zip(objective.term_names, sums, objective.terms, strict=True)
    weight = {name: term.weight for name, _, term in named}
    pairs = zip(objective.term_names, sums, strict=True)
    return {name: float(part.sum()) / weight[name] for name, part in pairs if name not in but}


@pytest.mark.slow
def test_the_exact_solutions_with_the_true_coefficients_solve_their_equations():
    heat = file("heat_inverse")
    model = WithUnknowns(heat.exact, k=Positive(heat.TRUE))
    found = losses(load_problem("heat-inverse"), model)
    assert max(found["equation"], found["initial"], found["ends"]) < 1e-24
    assert found["data"] == pytest.approx(50, abs=4 * np.sqrt(50))  # half of chi squared of 100

    telegraph = file("telegraph_inverse")
    known = jnp.asarray([telegraph.A, telegraph.B, telegraph.C])
    model = WithUnknowns(telegraph.exact, coefficients=known)
    assert max(losses(load_problem("telegraph-inverse"), model).values()) < 1e-22

    darcy = file("darcy_field_inverse")
    model = WithUnknowns(darcy.pressure, m=darcy.log_permeability)
    found = losses(load_problem("darcy-field-inverse"), model, but=("regularization",))
    assert found["equation"] < 1e-20
    assert found["data"] == pytest.approx(100, abs=4 * np.sqrt(100))

    parametric = file("poisson_parametric")
    assert max(losses(load_problem("poisson-parametric"), parametric.exact).values()) < 1e-22


def test_the_levels_of_known_wells():
    levels = file("schrodinger_eigen").levels
    np.testing.assert_allclose(levels(0.0, 3), [0.5, 1.5, 2.5], rtol=1e-12)
    # Hioe and Montroll, J. Math. Phys. 16 (1975) 1945, for q = 1
    np.testing.assert_allclose(levels(1.0, 2), [0.80377065123, 2.73789226800], rtol=1e-8)


def test_the_functions_of_the_l_shape_vanish_on_its_boundary():
    problem = file("l_shape_eigen")
    points = GaussLegendre(l_shape().boundary(), 7).quadrature().points
    np.testing.assert_allclose(jax.vmap(problem.vanishing)(points), 0.0, atol=1e-10)


@pytest.mark.slow
def test_the_start_on_the_l_shape_is_near_the_first_eigenvalue():
    model = load_problem("l-shape-eigen").model(jax.random.key(0))
    first = file("l_shape_eigen").FIRST
    assert first < float(model.eigenvalues[0]) < first * (1 + 1e-3)  # a Ritz value is above


@pytest.mark.slow
def test_the_error_bar_of_the_diffusivity_is_that_of_regression_with_one_parameter():
    """Equation and boundary are exact, so that u depends on k alone."""
    heat, problem = file("heat_inverse"), load_problem("heat-inverse", width=10, points=10)
    result = pinn_ngd.train(
        problem.objective, problem.model(jax.random.key(0)), "engd-tr", steps=45, key=0, grow=False
    )
    found = problem.scores(result.model)
    places, values = heat.measured(100, 0.02, 0)
    slopes, misfit = jax.vmap(_slope_and_value)(jnp.asarray(places))
    deviation = 0.02 / float(jnp.linalg.norm(slopes))
    best = heat.TRUE + float(slopes @ (values - misfit) / (slopes @ slopes))
    assert found["k_deviation"] == pytest.approx(deviation, rel=0.05)
    assert abs(found["k"] - best) < 0.2 * deviation
    assert abs(found["k"] - heat.TRUE) < 3 * deviation


def _slope_and_value(x):
    def solution(k):
        def mode(n):
            return jnp.exp(-k * (n * jnp.pi) ** 2 * x[0]) * jnp.sin(n * jnp.pi * x[1])

        return mode(1) + 0.5 * mode(3)

    return jax.grad(solution)(0.1), solution(0.1)


@pytest.mark.slow
def test_the_field_is_found_within_its_error_bars():
    problem = load_problem("darcy-field-inverse", width=8, points=8)
    result = pinn_ngd.train(
        problem.objective, problem.model(jax.random.key(100)), "engd-tr", steps=60, key=0,
        grow=False,
    )  # fmt: skip
    found = problem.scores(result.model)
    assert found["field_error"] < 0.2
    assert found["covered"] > 0.8
    centre, corner = jnp.asarray([0.5, 0.5]), jnp.asarray([0.2, 0.3])
    bars = posterior(problem.objective, result.model)
    assert bars.deviation(lambda m: m.m(centre)) > 0
    assert bars.deviation(lambda m: m.m(corner)) > 0


@pytest.mark.slow
def test_three_coefficients_are_found_from_two_hundred_values():
    problem = load_problem("telegraph-inverse")
    result = pinn_ngd.train(
        problem.objective, problem.model(jax.random.key(100)), "engd-tr", steps=40, key=0,
        grow=False,
    )  # fmt: skip
    assert problem.scores(result.model)["coefficient_error"] < 1e-6
    true = relative_l2(result.estimate.corrected, problem.exact, problem.evaluation)
    assert true < 1e-6
    assert result.estimate.relative_l2 == pytest.approx(
        relative_l2(result.model, problem.exact, problem.evaluation), rel=0.1
    )
    assert problem.scores(result.solution)["coefficient_error"] < 1e-6


@pytest.mark.slow
def test_one_network_solves_for_all_parameters():
    problem = load_problem("poisson-parametric", width=14)
    result = pinn_ngd.train(
        problem.objective, problem.model(jax.random.key(0)), "engd-tr", steps=40, key=0, grow=False
    )
    exact = file("poisson_parametric").exact
    rule = GaussLegendre(pinn_ngd.Interval(0.0, 1.0), 50)
    assert sweep(result.model, exact, [0.5, 3.3, 20.0], rule).max() < 1e-2
