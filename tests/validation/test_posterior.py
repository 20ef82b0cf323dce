"""Error bars against closed forms, and how often they cover the truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Energy,
    EnergyObjective,
    ExplicitState,
    GaussLegendre,
    Grid,
    Interval,
    Residual,
    ResidualObjective,
    StateMisfit,
)
from pinn_ngd.validation import posterior
from tests.validation.conftest import LINE, Sines

SIGMA = 0.05
PLACES = np.linspace(0.05, 0.95, 17)
FEATURES = np.sin(np.pi * PLACES[:, None] * np.arange(1, 4))
COVARIANCE = SIGMA**2 * np.linalg.inv(FEATURES.T @ FEATURES)
TRUE = np.asarray([1.0, 0.3, -0.2])


def data(places=PLACES, values=None):
    """Values with noise of deviation SIGMA: the second coordinate of a point is its value."""
    values = np.zeros_like(places) if values is None else values
    points = np.stack([places, values], axis=1)
    return Residual(lambda u, x: u(x[:1]) - x[1], points, len(places) / SIGMA**2, "data")


def test_error_bars_of_a_linear_model_are_those_of_regression():
    found = posterior(ResidualObjective([data()]), Sines(jnp.asarray(TRUE)))
    coefficients = found.deviation(lambda m: m.coefficients)
    np.testing.assert_allclose(coefficients, np.sqrt(np.diag(COVARIANCE)), rtol=1e-9)
    x = jnp.linspace(0.1, 0.9, 5)[:, None]
    features = np.sin(np.pi * np.asarray(x) * np.arange(1, 4))
    expected = np.sqrt(np.einsum("ij,jk,ik->i", features, COVARIANCE, features))
    np.testing.assert_allclose(found.deviation(lambda m: jax.vmap(m)(x)), expected, rtol=1e-9)


def test_error_bars_cover_the_truth_as_often_as_they_say():
    bars = posterior(ResidualObjective([data()]), Sines(jnp.asarray(TRUE)))
    deviation = np.asarray(bars.deviation(lambda m: m.coefficients))
    noise = SIGMA * np.random.default_rng(0).standard_normal((4000, len(PLACES)))
    fitted = np.linalg.lstsq(FEATURES, (FEATURES @ TRUE + noise).T, rcond=None)[0].T
    covered = np.mean(np.abs(fitted - TRUE) < 1.96 * deviation, axis=0)
    np.testing.assert_allclose(covered, 0.95, atol=3 * np.sqrt(0.95 * 0.05 / 4000))


def test_without_enough_data_the_prior_decides():
    few = ResidualObjective([data(PLACES[:2])])
    found = posterior(few, Sines(jnp.asarray(TRUE)), prior=7.0)
    seen, _, unseen = np.linalg.svd(FEATURES[:2])[2]

    def along(direction):
        return lambda m: jnp.asarray(direction) @ m.coefficients

    with pytest.warns(UserWarning, match="of this number the prior decides"):
        assert found.deviation(along(unseen)) == pytest.approx(7.0, rel=1e-6)
    assert found.prior_share(along(unseen)) == pytest.approx(1.0)
    assert found.prior_share(along(seen)) < 1e-3
    with pytest.warns(UserWarning, match="of 3 of 3 numbers nothing decides"):
        free = posterior(few, Sines(jnp.asarray(TRUE))).deviation(lambda m: m.coefficients)
    assert (free > 1e6).all()


def test_an_equation_without_noise_passes_the_error_bar_on():
    """Its weight makes the third coefficient half the first, to more digits than the data have."""
    inside = Residual(
        lambda u, x: (u.coefficients[2] - 0.5 * u.coefficients[0]) * (1 + x[0]),
        GaussLegendre(LINE, 3), 1e8, "equation",
    )  # fmt: skip
    found = posterior(ResidualObjective([data(), inside]), Sines(jnp.asarray(TRUE)))
    first, _, third = np.asarray(found.deviation(lambda m: m.coefficients))
    assert third == pytest.approx(0.5 * first, rel=1e-4)
    assert first < np.sqrt(COVARIANCE[0, 0])


def test_the_misfit_of_a_state_has_a_posterior_too():
    """Four parameters measured one by one, with noise of the deviations 1/2, 1/3, 1/4, 1/5."""
    grid, scale = Grid(Interval(0.0, 1.0), (4,)), jnp.arange(2.0, 6.0)
    objective = StateMisfit(ExplicitState(grid, lambda q: q), lambda q: scale * (q - 1.0))
    found = posterior(objective, jnp.ones(4))
    np.testing.assert_allclose(found.deviation(lambda q: q), 1 / np.asarray(scale), rtol=1e-12)


def test_what_has_no_posterior_says_so():
    energy = EnergyObjective([Energy(lambda x, f: f @ f + 0.0 * x[0], GaussLegendre(LINE, 3))])
    with pytest.raises(ValueError, match="no sum of squared residuals"):
        posterior(energy, Sines(jnp.asarray(TRUE)))
    with pytest.raises(ValueError, match="a deviation is positive"):
        posterior(ResidualObjective([data()]), Sines(jnp.asarray(TRUE)), prior=-1.0)
