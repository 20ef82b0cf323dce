"""Units that make a problem hard are named at the start, with a cure that works."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import pinn_ngd
from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    SpaceTime,
    relative_l2,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP, Normalized
from pinn_ngd.objectives import balanced
from pinn_ngd.validation import scaling_remarks
from pinn_ngd.validation.held_out import masses_of

LENGTH, DIFFUSIVITY = 0.05, 1e-7
ROD = SpaceTime(Interval(0.0, 3600.0), Interval(0.0, LENGTH))


def temperature(x):
    decay = jnp.exp(-DIFFUSIVITY * (jnp.pi / LENGTH) ** 2 * x[0])
    return 300 + 20 * decay * jnp.sin(jnp.pi * x[1] / LENGTH)


def heat(u, x):
    return time_derivative(u)(x) - DIFFUSIVITY * spatial_laplacian(u)(x)


def rod(points=8):
    """Heat in a rod of 5 cm over an hour, in kelvin, meters and seconds."""
    return ResidualObjective(
        [
            Residual(heat, GaussLegendre(ROD, points), name="heat"),
            Residual(
                lambda u, x: u(x) - temperature(x),
                GaussLegendre(ROD.initial(), points),
                100.0,
                "initial",
            ),
            Residual(
                lambda u, x: u(x) - 300.0, GaussLegendre(ROD.lateral(), points), 100.0, "ends"
            ),
        ]
    )


def remarks(objective, model):
    batch = objective.batch()
    losses = [float(mass.sum()) for mass in masses_of(objective, model, batch)]
    return scaling_remarks(objective, model, batch, losses)


KEY = jax.random.key(0)
NORMALIZED = Normalized(MLP((2, 10, 10, 1), key=KEY, domain=ROD), values=(280.0, 320.0))


def test_a_term_that_is_lost_in_another_is_named_with_its_cure():
    (found,) = remarks(rod(), MLP((2, 10, 10, 1), key=KEY, domain=ROD))
    assert found.startswith("the term 'heat' feels the parameters")
    assert "as much as 'ends' does" in found
    assert "objectives.balanced" in found


@pytest.mark.slow
def test_coordinates_that_the_model_does_not_feel_are_named():
    plain = eqx.nn.MLP(2, "scalar", 10, 2, jnp.tanh, key=KEY)
    found = [text for text in remarks(rod(), plain) if text.startswith("coordinate")]
    assert "coordinate 0 runs from" in found[0]
    assert "models.Normalized" in found[0]
    assert not [t for t in remarks(rod(), NORMALIZED) if t.startswith("coordinate")]


def test_a_balanced_objective_and_a_normalized_model_have_no_remarks():
    assert remarks(balanced(rod(), NORMALIZED), NORMALIZED) == []


@pytest.mark.parametrize("name", ["poisson-2d-icml23", "heat-1d", "wave-1d", "burgers-1d"])
def test_shipped_problems_have_no_remarks(name):
    problem = pinn_ngd.load_problem(name)
    assert remarks(problem.objective, problem.model(KEY)) == []


@pytest.mark.slow
def test_a_run_warns():
    model = MLP((2, 10, 10, 1), key=KEY, domain=ROD)
    with pytest.warns(UserWarning, match="the term 'heat' feels the parameters"):
        pinn_ngd.train(rod(), model, "engd-tr", steps=1, key=0)


@pytest.mark.slow
def test_in_si_units_the_cure_leads_to_the_solution():
    found = pinn_ngd.train(
        balanced(rod(12), NORMALIZED), NORMALIZED, "engd-tr", steps=60, key=0, tolerance=1e-7
    )
    points = GaussLegendre(ROD, 31).quadrature()
    assert relative_l2(found.model, temperature, points) < 1e-6
    assert found.status == "converged"
