"""How small a loss is rounding error: against models whose parameters were really rounded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Energy, EnergyObjective, GaussLegendre, Residual, ResidualObjective
from pinn_ngd.validation import rounding_level
from tests.validation.conftest import LINE, Sines, poisson

SOLUTION = (1.0, 0.3, -0.2)
EXACT = Sines(jnp.asarray(SOLUTION))
EPS = float(np.finfo(np.float64).eps)


def energy():
    def density(x, features):
        del x
        return 0.5 * features[1] ** 2

    return EnergyObjective([Energy(density, GaussLegendre(LINE, 8))])


def level(objective, model=EXACT):
    return rounding_level(objective, model, objective.batch())


def test_a_perfect_model_that_was_rounded_has_a_loss_of_that_size():
    objective = poisson(SOLUTION)
    batch = objective.batch()
    moved = np.asarray(SOLUTION) * (1 + EPS * np.asarray([[1, -1, 1], [-1, -1, 1], [2, 0, 1]]))
    losses = [float(objective.loss(Sines(jnp.asarray(c)), batch)) for c in moved]
    found = level(objective)
    assert found.of_residuals
    assert 1e-2 * np.mean(losses) < found.level < 1e2 * np.mean(losses)


def test_the_level_scales_as_the_loss_does():
    one, other = level(poisson(SOLUTION)), level(poisson(SOLUTION, scale=1e3))
    assert other.level == pytest.approx(1e6 * one.level, rel=0.1)


def test_the_level_follows_the_precision_of_the_parameters():
    double = level(poisson(SOLUTION)).level
    objective = ResidualObjective([Residual(lambda u, x: u(x), GaussLegendre(LINE, 8))])
    single = Sines(EXACT.coefficients.astype(jnp.float32))
    batch = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), objective.batch())
    found = rounding_level(objective, single, batch).level
    assert 1e-18 < found < 1e-12  # eps^2, and 1e4 more than any digit lost
    assert double < 1e-24


def test_a_model_without_size_has_no_rounding():
    assert level(poisson(SOLUTION), Sines(jnp.zeros(3))).level == 0.0


def test_the_level_is_the_same_at_every_call():
    assert level(poisson(SOLUTION)) == level(poisson(SOLUTION))


def test_an_energy_has_no_residuals_and_its_change_is_a_digit_of_it():
    objective = energy()
    found, value = level(objective), float(objective.loss(EXACT, objective.batch()))
    assert not found.of_residuals
    assert 0 <= found.level < 100 * EPS * abs(value)
    large = rounding_level(objective, Sines(1e3 * EXACT.coefficients), objective.batch())
    assert large.level < 100 * EPS * 1e6 * abs(value)


# Two residual blocks and a model of two arrays are trees of one structure.
def test_the_residuals_of_a_model_that_is_a_tuple_are_residuals():
    rule = GaussLegendre(LINE, 5)
    terms = [Residual(lambda u, x, i=i: u[i] * x[0] - x[0], rule) for i in range(2)]
    model = (jnp.asarray(0.5), jnp.asarray(0.2))
    assert level(ResidualObjective(terms), model).of_residuals
