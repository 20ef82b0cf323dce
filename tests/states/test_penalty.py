"""Penalties: their values on simple fields, and the least-squares form of their gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ExplicitState, Grid, Smoothness, StateMisfit, TotalVariation
from pinn_ngd.experiments.verification import verify_operator
from pinn_ngd.geometry.domains import Box
from pinn_ngd.metrics import EnergyMetric, Sobolev

GRID = Grid(Box((0.0, 0.0), (2.0, 1.0)), (20, 10))
FIELD = jax.random.normal(jax.random.key(0), GRID.shape)
PENALTIES = {
    "smooth": Smoothness(lambda m: m, GRID, 0.3),
    "tv": TotalVariation(lambda m: m, GRID, 0.3, smoothing=0.1),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_residual_gives_the_gradient(name):
    penalty = PENALTIES[name]
    residual, pull = jax.vjp(penalty.residual, FIELD)
    exact = jax.grad(penalty.value)(FIELD)
    np.testing.assert_allclose(pull(residual)[0], exact, rtol=1e-12, atol=1e-14)


def test_values_of_a_ramp_and_of_a_jump():
    x, _ = np.meshgrid(*GRID.axes, indexing="ij")
    ramp = PENALTIES["smooth"].value(jnp.asarray(3.0 * x))
    assert float(ramp) == pytest.approx(
        0.3 / 2 * 9.0 * 2.0 * 19 / 20, rel=1e-12
    )  # a row has no slope
    sharp = TotalVariation(lambda m: m, GRID, 0.3, smoothing=1e-9)
    jump = sharp.value(jnp.asarray(np.where(x > 1.0, 5.0, 0.0)))
    assert float(jump) == pytest.approx(0.3 * 5.0 * 1.0, rel=1e-6)  # height times length


def test_total_variation_prefers_jumps_and_smoothness_ramps():
    """Two fields of one rise: a step and a ramp."""
    x, _ = np.meshgrid(*GRID.axes, indexing="ij")
    step, ramp = jnp.asarray(np.where(x > 1.0, 1.0, 0.0)), jnp.asarray((x - 0.05) / 1.9)
    sharp = TotalVariation(lambda m: m, GRID, 1.0, smoothing=1e-3)
    assert float(sharp.value(step)) == pytest.approx(float(sharp.value(ramp)), rel=0.01)
    smooth = PENALTIES["smooth"]
    assert float(smooth.value(ramp)) < 0.2 * float(smooth.value(step))


def penalized(name):
    mix = jax.random.normal(jax.random.key(1), (GRID.size, GRID.size)) / GRID.size**0.5
    state = ExplicitState(GRID, lambda m: jnp.tanh(mix @ m.reshape(-1)))
    return StateMisfit(state, lambda rho: rho - 0.5, PENALTIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("matrix_free", [False, True])
@pytest.mark.parametrize("metric", [EnergyMetric(), Sobolev()])
def test_systems_of_a_penalized_misfit_have_its_gradient(name, matrix_free, metric):
    objective = penalized(name)
    system = metric.system(objective, FIELD, (), matrix_free=matrix_free)
    gradient = system.gradient
    if gradient is None:
        gradient = system.operator.T.mv(system.target)
    exact = jax.grad(lambda m: objective.loss(m, ()))(FIELD)
    np.testing.assert_allclose(gradient, exact, rtol=1e-10, atol=1e-12)
    assert all(check.passed for check in verify_operator(system.operator, jax.random.key(0)))


def test_stored_and_matrix_free_systems_agree():
    objective = penalized("tv")
    stored, free = (objective.system(FIELD, (), matrix_free=free) for free in (False, True))
    v = jax.random.normal(jax.random.key(2), GRID.shape)
    for a, b in zip(
        jax.tree.leaves(stored.operator.mv(v)), jax.tree.leaves(free.operator.mv(v)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_reduction_is_the_difference_of_losses():
    objective = penalized("tv")
    here, there = (objective.evaluate(m, ()) for m in (FIELD, 0.9 * FIELD))
    expected = objective.loss(FIELD, ()) - objective.loss(0.9 * FIELD, ())
    np.testing.assert_allclose(objective.reduction(here, there, None), expected, rtol=1e-12)
    assert eqx.is_array(here.right_hand_side[1])


def test_bad_penalties_are_refused():
    with pytest.raises(ValueError, match="`weight`"):
        Smoothness(lambda m: m, GRID, 0.0)
    with pytest.raises(ValueError, match="`smoothing`"):
        TotalVariation(lambda m: m, GRID, 1.0, smoothing=0.0)
