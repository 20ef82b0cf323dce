"""Problems that evolve, flow or bend: their solutions solve them, and runs reach their accuracy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import load_problem
from pinn_ngd.evaluation import shipped_reference


@eqx.filter_jit
def residuals(objective, function, batch):
    return objective.residuals(function, batch)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("advection-diffusion", 1e-11),
        ("beam", 1e-11),
        ("convection", 1e-12),
        ("kovasznay", 1e-13),
        ("stokes-cavity", 1e-9),
        ("kdv", 1e-5),  # three derivatives of a reference of 2.5e-10
        ("kuramoto-sivashinsky", 1e-3),  # four derivatives of a reference of 3.9e-9
        ("allen-cahn", 1e-4),  # where the corner is youngest
        ("helmholtz", 1e-11),
        ("multiscale-poisson", 1e-10),
        ("reaction", 1e-13),
    ],
)
def test_the_solution_solves_the_equation(name, least):
    problem = load_problem(name, points=4)
    blocks = residuals(problem.objective, problem.exact, problem.objective.batch())
    assert max(float(jnp.max(jnp.abs(block))) for block in blocks) < least


def test_references_are_periodic_and_know_their_accuracy():
    for name in ("kdv", "allen-cahn", "kuramoto-sivashinsky"):
        reference = shipped_reference(name)
        ends = [reference(jnp.asarray([0.7, x])) for x in (-0.9, 1.1)]
        np.testing.assert_allclose(*ends, rtol=1e-12)
        assert reference.accuracy < 1e-8


def test_an_unknown_reference_is_refused():
    with pytest.raises(ValueError, match=r"unknown reference 'kvd'.*Did you mean 'kdv'"):
        shipped_reference("kvd")


def test_kdv_keeps_its_mass_and_energy():
    x = jnp.linspace(-1, 1, 257)[:-1]
    u = jax.vmap(lambda x: shipped_reference("kdv")(jnp.stack([jnp.asarray(1.0), x])))(x)
    np.testing.assert_allclose([jnp.mean(u), jnp.mean(u**2)], [0.0, 0.5], atol=1e-9)


def test_the_corner_of_allen_cahn_starts_as_a_kink():
    module = load_problem("allen-cahn").model(jax.random.key(0))
    smooth = lambda x: 0.0 * x[0]  # noqa: E731
    corner = eqx.tree_at(lambda m: m.smooth, module, smooth)
    y = jnp.asarray([0.5, 0.1, 0.01])
    values = [corner(jnp.stack([jnp.asarray(0.0), 1 - d])) for d in y]
    np.testing.assert_allclose(values, 2 * y - y**2, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "steps", "network", "solution"),
    [
        ("advection-diffusion", {}, 100, 1e-5, 1e-9),
        ("beam", {}, 60, 1e-5, 1e-8),
        ("multiscale-poisson", {}, 50, 1e-12, 1e-12),
        ("wave-1d", {"waves": 150}, 60, 1e-12, 1e-12),
        ("helmholtz", {"waves": 150}, 60, 1e-9, 1e-11),
    ],
)
def test_a_run_reaches_its_accuracy(name, settings, steps, network, solution):
    problem, key = load_problem(name, **settings), jax.random.key(0)
    parts = problem.objective, problem.model(key), problem.optimizer
    result = pinn_ngd.train(*parts, steps=steps, key=jax.random.fold_in(key, 1))
    error = problem.evaluator()
    assert error(result.model)["relative_l2"] < network
    assert error(result.solution)["relative_l2"] < solution


@pytest.mark.slow
def test_the_flow_in_the_cavity_has_three_digits_and_says_which_component_is_worst():
    problem, key = load_problem("stokes-cavity", points=18), jax.random.key(100)
    model, measure = problem.model(key), problem.evaluator()
    result = pinn_ngd.train(
        problem.objective, model, "engd-tr", steps=50, key=key, grow=False, evaluate=measure
    )
    errors = result.measures
    assert errors["relative_l2"] < 1e-3
    assert errors["relative_l2_u"] < errors["relative_l2_v"] < errors["relative_l2_p"]
    assert result.history[-1]["relative_l2_p"] == errors["relative_l2_p"]
