"""The L-curve of a linear problem against Tikhonov's closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Data, Points, Residual, ResidualObjective
from pinn_ngd.experiments.plotting import plot_l_curve
from pinn_ngd.training import RegularizationPath, l_curve
from pinn_ngd.training.regularization import _warn_unless_monotone

SIGMA, MODES = 0.02, 16
PLACES = np.linspace(0.03, 0.97, 30)
FREQUENCIES = np.arange(1, MODES + 1)
# What is measured is the integral of the unknown: mode k counts like 1 / k.
MATRIX = (1 - np.cos(np.pi * PLACES[:, None] * FREQUENCIES)) / (np.pi * FREQUENCIES)
TRUE = 1.0 / FREQUENCIES**3
VALUES = MATRIX @ TRUE + SIGMA * np.random.default_rng(0).standard_normal(30)
WEIGHTS = np.logspace(-3, 5, 9)


class Modes(eqx.Module):
    coefficients: jax.Array

    def __call__(self, x):
        return jnp.sin(jnp.pi * x[0] * FREQUENCIES) @ self.coefficients


def integral(u, x):
    k = jnp.asarray(FREQUENCIES, float)
    return (1 - jnp.cos(jnp.pi * x[0] * k)) / (jnp.pi * k) @ u.coefficients


DATA = Data(PLACES, VALUES, SIGMA, integral)
SMOOTH = Residual(lambda u, _: u.coefficients, Points([[0.0]]), name="regularization")


@pytest.fixture(scope="module")
def path():
    objective = ResidualObjective([DATA, SMOOTH])
    return l_curve(objective, Modes(jnp.zeros(MODES)), WEIGHTS, steps=25)


def test_every_point_of_the_curve_is_tikhonovs_solution(path):
    scaled, target = MATRIX / SIGMA, VALUES / SIGMA
    for i, weight in enumerate(WEIGHTS):
        inverse = np.linalg.inv(scaled.T @ scaled + weight * np.eye(MODES))
        c = inverse @ scaled.T @ target
        np.testing.assert_allclose(path.models[i].coefficients, c, rtol=1e-6, atol=1e-6)
        assert path.misfits[i] == pytest.approx(np.sum((scaled @ c - target) ** 2), rel=1e-8)
        assert path.penalties[i] == pytest.approx(np.sum(c**2), rel=1e-6)
        assert path.freedoms[i] == pytest.approx(np.trace(scaled @ inverse @ scaled.T), rel=1e-8)
    assert path.count == 30


def test_all_three_rules_come_close_to_the_best_weight(path):
    errors = [np.linalg.norm(model.coefficients - TRUE) for model in path.models]
    assert min(errors) < 0.5 * min(errors[0], errors[-1])  # there is something to choose
    for place in (path.corner, path.discrepancy, path.cross_validated):
        assert errors[place] < 1.5 * min(errors)


def test_the_corner_of_a_known_curve_is_found():
    """Misfit 1 + w and penalty 1 + 1 / w turn at w = 1, where log-log slopes agree."""
    w = np.logspace(-4, 4, 17)
    known = RegularizationPath(w, 1 + w, 1 + 1 / w, np.full(17, 3.0), 10, (None,) * 17)
    assert known.weights[known.corner] == pytest.approx(1.0)
    assert known.weights[known.discrepancy] == pytest.approx(w[w <= 9].max())
    assert known.cross_validated == 0


def test_the_picture_marks_what_the_rules_choose(path):
    left, right = plot_l_curve(path).axes
    (line, *marks) = left.get_lines()
    np.testing.assert_allclose(line.get_ydata(), path.penalties)
    places = (path.corner, path.discrepancy, path.cross_validated)
    assert [m.get_ydata()[0] for m in marks] == [path.penalties[place] for place in places]
    assert "corner" in left.get_legend().get_texts()[0].get_text()
    assert right.get_xlabel() == "weight"


def test_trainings_that_are_too_short_are_told():
    with pytest.warns(UserWarning, match="7 steps were not enough"):
        _warn_unless_monotone(np.asarray([1.0, 2.0, 3.0]), np.asarray([3.0, 1.0, 2.0]), 7)
    with pytest.warns(UserWarning, match="7 steps were not enough"):
        _warn_unless_monotone(np.asarray([1.0, 0.5, 3.0]), np.asarray([3.0, 2.0, 1.0]), 7)
    _warn_unless_monotone(np.asarray([1.0, 2.0, 3.0]), np.asarray([3.0, 2.0, 1.0]), 7)


@pytest.mark.parametrize(
    ("terms", "options", "match"),
    [
        ([DATA, SMOOTH], {"weights": [1.0, 2.0]}, "three different positive numbers"),
        ([DATA, SMOOTH], {"weights": [1.0, 2.0, -1.0]}, "three different positive numbers"),
        ([DATA, SMOOTH], {"term": "smooth"}, "0 terms are called 'smooth'"),
        ([SMOOTH], {}, "no term is a measurement"),
        ([DATA, SMOOTH], {"optimizer": "scipy-lm"}, "runs in Python"),
    ],
)
def test_what_makes_no_curve_is_refused(terms, options, match):
    options = {"weights": WEIGHTS, **options}
    with pytest.raises(ValueError, match=match):
        l_curve(ResidualObjective(terms), Modes(jnp.zeros(MODES)), **options)
