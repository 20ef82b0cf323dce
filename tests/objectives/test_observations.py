"""Measurements as terms: what they weigh, what they measure, and what is left out of training."""

# ruff: noqa: ARG005  (a table of functions of one signature)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Data,
    GaussLegendre,
    Interval,
    Points,
    Residual,
    ResidualObjective,
    normal_derivative,
)
from pinn_ngd.objectives import chi_squared, split_data
from pinn_ngd.validation.chunks import chunks

PLACES = np.linspace(0.0, 1.0, 5)


def u(x):
    return jnp.stack([x[0] ** 2, 3 * x[0]])


def losses(*terms, model=u):
    objective = ResidualObjective(list(terms))
    return objective.point_losses(model, objective.batch(None))


def test_every_measurement_counts_by_its_own_noise():
    values, sigma = np.ones((5, 2)), np.arange(1.0, 11.0).reshape(5, 2)
    expected = 0.5 * (((np.stack([PLACES**2, 3 * PLACES], 1) - values) / sigma) ** 2).sum(axis=1)
    np.testing.assert_allclose(losses(Data(PLACES, values, sigma))[0], expected, rtol=1e-14)
    by_point = Data(PLACES, values[:, 0], sigma[:, 0], lambda u, x: u(x)[1])
    expected = 0.5 * ((3 * PLACES - 1) / sigma[:, 0]) ** 2
    np.testing.assert_allclose(losses(by_point)[0], expected, rtol=1e-14)


def test_what_is_measured_is_any_function_of_model_and_point():
    def flux(u, x, normal):
        return normal_derivative(u)(x, normal)[0]

    ends = Data([0.0, 1.0], [0.0, 0.0], 0.5, flux, normals=[[-1.0], [1.0]])
    np.testing.assert_allclose(losses(ends)[0], [0.0, 0.5 * (2 / 0.5) ** 2], atol=1e-15)
    line = GaussLegendre(Interval(0.0, 1.0), 4).quadrature()
    mean = Data(None, 0.0, 1.0, lambda u, x: line.integrate(u)[0])
    np.testing.assert_allclose(losses(mean)[0], [0.5 / 9], rtol=1e-14)
    known = Data(None, [1.0, 2.0], 0.1, lambda u, x: u)
    np.testing.assert_allclose(losses(known, model=jnp.asarray([1.1, 2.0]))[0], [0.5], rtol=1e-12)


def test_complex_measurements_count_by_both_parts():
    term = Data(PLACES, np.full(5, 2j), 2.0, lambda u, x: jax.lax.complex(u(x)[0], 0.0))
    np.testing.assert_allclose(losses(term)[0], 0.5 * (PLACES**4 + 4) / 4, rtol=1e-14)
    assert chi_squared(term, u) == pytest.approx(np.mean((PLACES**4 + 4) / 4))


def test_points_that_fill_up_a_chunk_count_nothing():
    objective = ResidualObjective([Data(PLACES, PLACES, 0.1, lambda u, x: u(x)[0])])
    *_, last = chunks(objective.batch(None), 3)
    (mass,) = objective.point_losses(u, last)
    assert np.isfinite(mass).all()
    assert mass[-1] == 0.0


def test_the_mean_square_of_noise_is_one():
    noise = np.random.default_rng(0).standard_normal(4000)
    term = Data(np.linspace(0, 1, 4000), 0.3 * noise, 0.3, lambda u, x: 0.0 * u(x)[0])
    assert chi_squared(term, u) == pytest.approx(np.mean(noise**2), rel=1e-12)
    assert abs(chi_squared(term, u) - 1) < 3 * np.sqrt(2 / 4000)


def test_held_out_data_and_training_data_are_all_data():
    term = Data(np.arange(10.0), np.arange(10.0) ** 2, np.arange(1.0, 11.0), lambda u, x: u(x)[0])
    training, held_out = split_data(term, 0.3, seed=1)
    assert (training.rule.size, held_out.rule.size) == (7, 3)
    assert (training.name, held_out.name) == ("data", "held-out data")
    places = np.concatenate([training.rule.points, held_out.rule.points])[:, 0]
    assert sorted(places) == list(range(10))
    assert chi_squared(held_out, u) == 0.0  # values and deviations stay at their points
    again = split_data(term, 0.3, seed=1)[1].rule.points
    np.testing.assert_array_equal(held_out.rule.points, again)


def test_data_are_arguments_of_the_compiled_step_and_have_a_fingerprint():
    from pinn_ngd.storage.fingerprint import fingerprint

    first, other = (ResidualObjective([Data(PLACES, PLACES + s, 0.1)]) for s in (0.0, 1.0))
    assert jax.tree.structure(first.batch(None)) == jax.tree.structure(other.batch(None))
    assert fingerprint(first) != fingerprint(other)
    assert fingerprint(first) == fingerprint(ResidualObjective([Data(PLACES, PLACES, 0.1)]))


NOT_DATA = Residual(lambda u, x: u(x), Points(PLACES))
TWO = np.zeros(2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Data(TWO, [np.nan, 1.0], 0.1), "1 numbers that are not finite.*row 0"),
        (lambda: Data(TWO, ["a", "b"], 0.1), "give one number"),
        (lambda: Data(TWO, TWO, 0.0), "the noise is positive"),
        (lambda: Data(TWO, TWO, -1.0), "the noise is positive"),
        (lambda: Data(TWO, TWO, np.inf), "the noise is positive"),
        (lambda: Data(TWO, TWO, [0.1, 0.1, 0.1]), "`sigma`.*has shape"),
        (lambda: Data(np.zeros(3), TWO, 0.1), "for each of the 3 points"),
        (lambda: Data(TWO, TWO, 0.1, lambda u: u), "`of` of the term 'data' takes the arguments"),
        (lambda: split_data(NOT_DATA), "no measurement with a known noise"),
        (lambda: chi_squared(NOT_DATA, u), "no measurement with a known noise"),
        (lambda: split_data(Data(TWO, TWO, 0.1), 0.1), "neither nothing nor all"),
    ],
)
def test_bad_data_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_whole_numbers_keep_the_noise_that_is_no_whole_number():
    for sigma in (0.3, 2.0):
        whole, floats = (losses(Data(PLACES, v, sigma, lambda u, x: u(x)[0]))[0]
                         for v in ([0, 1, 2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0]))  # fmt: skip
        np.testing.assert_array_equal(whole, floats)
        assert float(whole.sum()) > 0


def test_as_many_numbers_are_seen_as_measured():
    with pytest.raises(ValueError, match="returns 2 numbers at a point where 1 were measured"):
        losses(Data(PLACES, np.ones(5), 0.1))
    with pytest.raises(ValueError, match="returns 1 numbers at a point where 2 were measured"):
        losses(Data(PLACES, np.ones((5, 2)), 0.1, lambda u, x: u(x)[0]))
