"""Likelihoods: densities against SciPy, expectations against adaptive quadrature."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from pinn_ngd.applications import gp

CASES = {
    "gaussian": (gp.GaussianNoise(0.3), 0.7, lambda f: stats.norm(f, 0.3**0.5).logpdf(0.7)),
    "logit": (gp.Bernoulli(), 0, lambda f: np.log(1 / (1 + np.exp(f)))),
    "probit": (gp.Bernoulli("probit"), 1, lambda f: stats.norm.logcdf(f)),
    "poisson": (gp.Poisson(), 3, lambda f: stats.poisson(np.exp(f)).logpmf(3)),
    "student-t": (
        gp.StudentT(0.8, 3.0), 1.5, lambda f: stats.t(3, loc=f, scale=0.8).logpdf(1.5)
    ),
}  # fmt: skip
MEAN, VARIANCE = 0.4, 0.25


def _one(number):
    return jnp.asarray([number])


def _expected(fn):
    density = stats.norm(MEAN, VARIANCE**0.5).pdf
    return integrate.quad(lambda f: density(f) * fn(f), -6, 7, epsabs=1e-13, limit=200)[0]


@eqx.filter_jit
def asked(likelihood, mean, variance, y):
    """E[log p], log E[p] and E[y] under N(mean, variance)."""
    return (
        likelihood.expected_log_density(mean, variance, y),
        likelihood.log_predictive(mean, variance, y),
        likelihood.predictive_mean(mean, variance),
    )


@eqx.filter_jit
def log_density(likelihood, f, y):
    return jax.vmap(lambda one: likelihood.log_density(one, y))(f)


@pytest.mark.parametrize("name", CASES)
def test_densities_are_those_of_scipy(name):
    likelihood, y, expected = CASES[name]
    values = np.asarray([-1.0, 0.2, 2.0])
    found = log_density(likelihood, jnp.asarray(values[:, None]), jnp.asarray(y))
    np.testing.assert_allclose(found, [expected(f) for f in values], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_expectations_are_those_of_adaptive_quadrature(name):
    likelihood, y, of_scipy = CASES[name]
    at = _one(MEAN), _one(VARIANCE), jnp.asarray(y)
    tolerance = 1e-6 if name == "student-t" else 1e-9  # poles of log p near the real axis
    expectation, log_predictive, mean = asked(likelihood, *at)
    np.testing.assert_allclose(expectation, _expected(of_scipy), rtol=tolerance)
    predictive = np.log(_expected(lambda f: np.exp(of_scipy(f))))
    np.testing.assert_allclose(log_predictive, predictive, rtol=tolerance)
    means = {"gaussian": lambda f: f, "student-t": lambda f: f, "poisson": np.exp,
             "logit": lambda f: 1 / (1 + np.exp(-f)), "probit": stats.norm.cdf}  # fmt: skip
    np.testing.assert_allclose(mean, _expected(means[name]), rtol=1e-9)


def test_quadrature_converges_with_its_nodes():
    expected = _expected(CASES["student-t"][2])
    at = _one(MEAN), _one(VARIANCE), jnp.asarray(1.5)

    def error(nodes):
        likelihood = gp.StudentT(0.8, 3.0, nodes=nodes)
        return abs(float(eqx.filter_jit(likelihood.expected_log_density)(*at)) - expected)

    errors = [error(nodes) for nodes in (5, 10, 20, 40)]
    assert all(b < 0.3 * a for a, b in itertools.pairwise(errors))


def test_the_predictive_density_of_students_distribution_holds_for_any_scale():
    """Adaptive quadrature around f = y, where the density of y is narrow; y = 5 is an outlier."""
    found_of = eqx.filter_jit(gp.StudentT.log_predictive)
    for scale, y in itertools.product((1.0, 0.05, 1e-3), (0.3, 5.0)):

        def density(f, scale=scale, y=y):
            return stats.t.pdf(y, 3, f, scale) * stats.norm.pdf(f, MEAN, VARIANCE**0.5)

        near = [MEAN, y - 5 * scale, y, y + 5 * scale]
        expected = integrate.quad(density, -6, 7, points=near, limit=500, epsabs=0, epsrel=1e-11)
        found = found_of(gp.StudentT(scale, 3.0), _one(MEAN), _one(VARIANCE), jnp.asarray(y))
        np.testing.assert_allclose(found, np.log(expected[0]), rtol=1e-9)


def test_noise_that_depends_on_the_place():
    likelihood, y = gp.HeteroskedasticGaussian(), 0.9
    mean, variance = jnp.asarray([0.4, -0.5]), jnp.asarray([0.25, 0.1])

    # Trapezoidal sums of what is zero at the ends are as exact as their terms.
    f, g = np.meshgrid(np.linspace(-4, 5, 600), np.linspace(-3.2, 2.2, 600), indexing="ij")
    weights = stats.norm.pdf(f, 0.4, 0.5) * stats.norm.pdf(g, -0.5, 0.1**0.5)
    weights /= weights.sum()

    def of_scipy(f, g):
        return stats.norm.logpdf((y - f) / np.exp(g)) - g

    expectation, log_predictive, _ = asked(likelihood, mean, variance, jnp.asarray(y))
    np.testing.assert_allclose(expectation, np.sum(weights * of_scipy(f, g)), rtol=1e-9)
    predictive = np.log(np.sum(weights * np.exp(of_scipy(f, g))))
    np.testing.assert_allclose(log_predictive, predictive, rtol=1e-7)


@pytest.mark.parametrize(
    ("likelihood", "targets", "message"),
    [
        (gp.Bernoulli(), [0, 1, -1], "must be 0 or 1: number the two classes so"),
        (gp.Poisson(), [0.5, 1.0], "are counts: whole numbers from 0"),
    ],
)
def test_observations_without_a_density_are_refused(likelihood, targets, message):
    with pytest.raises(ValueError, match=message):
        likelihood.check(np.asarray(targets))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="a mean needs more than one degree"):
        gp.StudentT(1.0, 1.0)
    with pytest.raises(ValueError, match="`link` is 'cauchit'; it must be one of logit, probit"):
        gp.Bernoulli("cauchit")
