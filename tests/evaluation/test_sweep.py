"""Errors of parametric solutions."""

import jax.numpy as jnp
import numpy as np

from pinn_ngd import GaussLegendre, Interval
from pinn_ngd.evaluation import at_parameter, sweep
from pinn_ngd.experiments.plotting import plot_sweep

SPACE = Interval(0.0, 1.0)


def exact(x):
    return x[0] * jnp.sin(jnp.pi * x[1])


def wrong(x):
    return exact(x) * (1 + 0.1 * x[0])


def test_each_parameter_has_its_error():
    rule = GaussLegendre(SPACE, 20)
    np.testing.assert_allclose(sweep(wrong, exact, [1.0, 2.0], rule), [0.1, 0.2], rtol=1e-12)
    assert float(at_parameter(exact, 3.0)(jnp.asarray([0.5]))) == 3.0


def test_several_parameters_are_the_first_coordinates():
    def of_two(x):
        return (x[0] + 2 * x[1]) * x[2]

    rows = [[1.0, 0.0], [0.0, 1.0]]
    errors = sweep(lambda x: x[2], of_two, rows, GaussLegendre(SPACE, 5))
    np.testing.assert_allclose(errors, [0.0, 0.5], atol=1e-12)
    assert float(at_parameter(of_two, [1.0, 1.0])(jnp.asarray([2.0]))) == 6.0


def test_the_picture_shows_solutions_and_errors():
    values = np.linspace(1.0, 2.0, 11)
    left, right = plot_sweep(wrong, exact, values, SPACE).axes
    assert len(left.get_lines()) == 6
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), 0.1 * values, rtol=1e-10)
    alone = plot_sweep(wrong, None, values, SPACE)
    assert len(alone.axes) == 1
    assert alone.legends[0].get_texts()[0].get_text() == "m = 1"
