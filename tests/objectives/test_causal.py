"""Causal weights, on u_t = 1 where the residual of every slice of time is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    SpaceTime,
    time_derivative,
)
from pinn_ngd.objectives import causal, causal_factors

DOMAIN = SpaceTime(Interval(1.0, 3.0), Interval(0.0, 1.0))
INSIDE = GaussLegendre(DOMAIN, (16, 2))
INITIAL = GaussLegendre(DOMAIN.initial(), 2)
OBJECTIVE = ResidualObjective(
    [
        Residual(lambda u, x: time_derivative(u)(x) - 1, INSIDE, 3.0, "equation"),
        Residual(lambda u, x: u(x) - 2, INITIAL, 5.0, "initial"),
    ]
)


def constant(x):
    return 2.0 + 0.0 * x[0]  # u_t - 1 = -1 everywhere, and the initial value is right


def solution(x):
    return x[0] + 1


def test_weights_fall_as_the_losses_before_add_up():
    factors = causal_factors(OBJECTIVE, constant, 0.7, slices=4)
    before = 1.5 * np.arange(4)  # 1/2 * 3 * |-1|^2 a slice
    np.testing.assert_allclose(factors, np.exp(-0.7 * before))


def test_a_wrong_initial_value_comes_before_everything():
    factors = causal_factors(OBJECTIVE, lambda x: constant(x) + 1, 1.0, slices=4)
    np.testing.assert_allclose(factors[0], np.exp(-2.5))  # 1/2 * 5 * 1^2


def test_a_solution_is_weighed_as_before():
    np.testing.assert_allclose(causal_factors(OBJECTIVE, solution, 100.0), 1.0)


def test_the_loss_is_weighed_slice_by_slice():
    weighed = causal(OBJECTIVE, constant, 0.7, slices=4)
    losses = weighed.point_losses(constant, weighed.batch())
    plain = OBJECTIVE.point_losses(constant, OBJECTIVE.batch())
    place = ((weighed.batch()[0].points[:, 0] - 1.0) * 2).astype(int)
    factors = causal_factors(OBJECTIVE, constant, 0.7, slices=4)
    np.testing.assert_allclose(losses[0], plain[0] * factors[place], rtol=1e-12)
    np.testing.assert_array_equal(losses[1], plain[1])


@pytest.mark.parametrize(("strictness", "slices"), [(0.0, 4), (-1.0, 4), (1.0, 1)])
def test_weights_that_are_none_are_refused(strictness, slices):
    with pytest.raises(ValueError, match="the former is positive"):
        causal(OBJECTIVE, constant, strictness, slices=slices)


def test_systems_are_weighed_by_name():
    named = Residual(lambda u, x: {"rate": time_derivative(u)(x) - 1}, INSIDE, {"rate": 3.0})
    system = ResidualObjective([named, OBJECTIVE.terms[1]])
    found, plain = (
        causal(o, constant, 0.7, slices=4).loss(constant, OBJECTIVE.batch())
        for o in (system, OBJECTIVE)
    )
    np.testing.assert_allclose(jnp.asarray(found), plain)
