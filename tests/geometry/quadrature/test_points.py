"""Points that somebody hands in, and numbers of points that are none."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Equispaced, GaussLegendre, Interval, MonteCarlo, Quadrature, Sobol, Trapezoid
from pinn_ngd.geometry.quadrature import AbstractRule, Points, as_rule

LINE = Interval(0.0, 1.0)
POINTS = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])


@pytest.mark.parametrize("points", [POINTS, jnp.asarray(POINTS), POINTS.astype(int)])
def test_an_array_of_points_weighs_as_its_mean(points):
    rule = as_rule(points)
    found = rule.quadrature()
    np.testing.assert_array_equal(found.points, POINTS)
    assert float(found.integrate(lambda x: x[0])) == pytest.approx(2.0)
    assert (rule.size, rule.resampled, rule.held_out(), rule.grown(2.0)) == (3, False, None, None)


def test_points_on_a_line_may_be_flat():
    np.testing.assert_array_equal(Points(np.arange(3.0)).points, [[0.0], [1.0], [2.0]])


def test_points_of_weight_zero_are_left_out():
    np.testing.assert_array_equal(Points(np.arange(3.0), [1.0, 0.0, 2.0]).weights, [1.0, 2.0])


def test_a_quadrature_is_a_rule_and_a_rule_is_itself():
    quadrature, rule = GaussLegendre(LINE, 3).quadrature(), GaussLegendre(LINE, 3)
    np.testing.assert_array_equal(as_rule(quadrature).quadrature().weights, quadrature.weights)
    assert as_rule(rule) is rule
    assert isinstance(as_rule(Quadrature(jnp.ones((2, 1)), jnp.ones(2))), AbstractRule)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: as_rule("gauss"), "`rule` of a term is 'gauss'"),
        (lambda: as_rule(LINE), "`rule` of a term is a Interval"),
        (lambda: Points(np.ones((2, 2, 2))), r"`points` have shape \(2, 2, 2\)"),
        (lambda: Points(np.ones((0, 2))), r"`points` have shape \(0, 2\)"),
        (lambda: Points(1j * POINTS), "dtype complex128"),
        (lambda: Points(POINTS, np.ones(2)), "for each of the 3 points"),
        (lambda: Points(POINTS, -np.ones(3)), "weight below zero"),
        (lambda: Points(POINTS * np.nan), "not finite"),
        (lambda: GaussLegendre(LINE, 16.0), "`n` = 16.0 is no whole number of points: write 16"),
        (lambda: Trapezoid(LINE, 2.5), "`n` = 2.5 is no whole number of points: give an int"),
        (lambda: Equispaced(LINE, (4.0,)), "write 4"),
        (lambda: MonteCarlo(LINE, 1e3), "write 1000"),
        (lambda: Sobol(LINE, "8"), "`n` = '8' is no whole number"),
    ],
)
def test_what_are_no_points_is_explained(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_whole_numbers_of_numpy_are_numbers_of_points():
    assert GaussLegendre(LINE, np.int64(4)).n == 4
    assert GaussLegendre(LINE, [4]).n == (4,)
    assert Sobol(LINE, np.int32(8)).n == 8
