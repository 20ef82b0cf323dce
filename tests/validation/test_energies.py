"""Errors of energies, which do not tell how low they can fall."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import pinn_ngd
from pinn_ngd import (
    Energy,
    EnergyObjective,
    GaussLegendre,
    Interval,
    estimate_error,
    relative_h1,
    relative_l2,
)
from pinn_ngd.models import MLP
from pinn_ngd.validation.spaces import TangentSum, alone, relatives
from tests.validation.conftest import Sines

LINE = Interval(-1.0, 1.0)
POINTS = GaussLegendre(LINE, 60).quadrature()


def exact(x):
    return jnp.cos(jnp.pi * x[0])


def density(x, features):
    source = (jnp.pi**2 + 1) * exact(x)  # -u'' + u = source with natural boundary values
    return 0.5 * features[1] ** 2 + 0.5 * features[0] ** 2 - source * features[0]


def objective(points=30):
    return EnergyObjective([Energy(density, GaussLegendre(LINE, points))])


def trained(width, *, steps, points=30, grow=False):
    key = jax.random.key(0)
    return pinn_ngd.train(
        objective(points),
        MLP((1, width, 1), key=key, domain=LINE, scale=2.0),
        pinn_ngd.optimizers.get("engd-tr"),
        steps=steps,
        key=key,
        grow=grow,
    )


@pytest.fixture(scope="module")
def critical():
    """A network of two neurons at its critical point."""
    return trained(2, steps=30)


@pytest.mark.slow
def test_a_critical_point_of_a_network_that_is_too_small_is_known_to_be_wrong(critical):
    assert critical.history[-1]["gradient_norm"] < 1e-8
    true = [f(critical.model, exact, POINTS) for f in (relative_l2, relative_h1)]
    assert true[0] > 1e-3
    estimate = estimate_error(objective(), critical.model)
    assert estimate.reliable
    assert estimate.relative_l2 == pytest.approx(true[0], rel=0.05)
    assert estimate.relative_h1 == pytest.approx(true[1], rel=0.05)
    assert relative_l2(estimate.corrected, exact, POINTS) < 0.01 * true[0]


@pytest.mark.slow
def test_errors_that_training_has_left_are_estimated():
    result = trained(6, steps=12)
    true = relative_l2(result.model, exact, POINTS)
    assert true > 1e-7
    assert result.estimate.reliable
    assert result.estimate.relative_l2 == pytest.approx(true, rel=0.05)


def test_a_model_whose_relatives_span_nothing_new_has_no_estimate():
    estimate = estimate_error(objective(), Sines(jnp.asarray([0.3, 0.2])))
    assert not estimate.known
    assert jnp.isnan(estimate.relative_l2)


@pytest.mark.slow
def test_too_few_points_let_an_energy_fall_without_end():
    fixed = trained(12, steps=40, points=4)
    assert fixed.held_out.loss > fixed.loss + 1.0
    assert fixed.status == "overfitted"
    assert "between them" in fixed.message


@pytest.mark.slow
def test_points_of_an_energy_grow():
    grown = trained(12, steps=60, points=8, grow=True)
    assert grown.history[-1]["points"] > 8
    assert relative_l2(grown.model, exact, POINTS) < 1e-3
    assert grown.held_out.loss == pytest.approx(grown.loss, rel=1e-6)


def test_relatives_keep_what_a_model_is_by_construction():
    class Clamped(eqx.Module):
        net: MLP

        def __call__(self, x):
            return x[0] * (1 - x[0]) * self.net(x)

    model = Clamped(MLP((1, 5, 1), key=jax.random.key(0)))
    group = relatives(model, 2, jax.random.key(1))
    at, end = jnp.asarray([0.4]), jnp.asarray([1.0])
    first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], group) for i in range(2))
    assert len({float(m(at)) for m in (model, first, second)}) == 3
    assert first(end) == second(end) == 0


def test_a_tangent_sum_is_the_sum_of_difference_quotients():
    model = MLP((1, 3, 1), key=jax.random.key(0))
    groups = alone(model), relatives(model, 2, jax.random.key(1))
    members = [model, *(jax.tree.map(lambda leaf, i=i: leaf[i], groups[1]) for i in range(2))]
    steps = tuple(jax.tree.map(jnp.ones_like, group) for group in groups)
    x = jnp.asarray([0.2])
    moved = [jax.tree.map(lambda leaf: leaf + 1e-6, member) for member in members]
    quotient = sum((a(x) - b(x)) / 1e-6 for a, b in zip(moved, members, strict=True))
    assert TangentSum(groups, steps)(x) == pytest.approx(float(quotient), rel=1e-4)
