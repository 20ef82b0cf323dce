"""Exponential families against finite sums, quadrature, closed forms and automatic derivatives."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from pinn_ngd.families import (
    Categorical,
    Distribution,
    Exponential,
    Gaussian,
    GaussianKnownVariance,
    GenerativeClassifier,
    Independent,
    MultivariateGaussian,
    NaiveBayes,
    Poisson,
)

from .members import FAMILIES, joint, member

each = pytest.mark.parametrize("name", FAMILIES)


@eqx.filter_jit
def everything(family, natural):
    """Expectations and back, the Fisher matrix by the map, by its inverse and by derivatives."""
    vector, unravel = ravel_pytree(natural)
    fisher = Distribution(family, natural).fisher()
    eta = family.to_expectation(natural)
    hessian = jax.hessian(lambda q: family.log_partition(unravel(q)))(vector)
    return {
        "natural": vector,
        "back": ravel_pytree(family.to_natural(eta))[0],
        "gradient": ravel_pytree(jax.grad(family.log_partition)(natural))[0],
        "eta": ravel_pytree(eta)[0],
        "hessian": hessian,
        "map": fisher.as_matrix(),
        "inverse": fisher.inverse().as_matrix(),
    }


@eqx.filter_jit
def table(family, natural, values):
    """Logarithms of the densities of values, and their statistics, a row each."""
    log_p = jax.vmap(lambda x: family.log_density(natural, x))(values)
    return log_p, jax.vmap(lambda x: ravel_pytree(family.statistics(x))[0])(values)


@each
def test_coordinates_are_one_to_one_and_both_jacobians_are_the_fisher_matrix(name):
    found = everything(FAMILIES[name], member(name))
    np.testing.assert_allclose(found["back"], found["natural"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found["eta"], found["gradient"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found["map"], found["hessian"], rtol=1e-12, atol=1e-13)
    product = found["inverse"] @ found["hessian"]
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)
    assert np.linalg.eigvalsh(found["hessian"])[0] > 0  # the statistics are minimal
    assert FAMILIES[name].size == len(product)


def finite_values(family):
    """All values of a family of finitely many."""
    if isinstance(family, NaiveBayes):
        grids = [np.arange(f.outcomes) for f in family.features] + [np.arange(family.classes)]
        *x, y = (g.ravel() for g in np.meshgrid(*grids, indexing="ij"))
        return tuple(x), y
    return np.arange(family.outcomes)


@pytest.mark.parametrize("kind", ["categorical", "naive-bayes"])
def test_sums_over_all_values(kind):
    """Probabilities add up to one, expectations are means, and Fisher is a covariance."""
    family, natural = joint(3, (3, 2)) if kind == "naive-bayes" else (Categorical(4), member(kind))
    values = finite_values(family)
    log_p, t = table(family, natural, values)
    p = np.exp(np.asarray(log_p))
    found = everything(family, natural)
    assert p.sum() == pytest.approx(1, abs=1e-13)
    np.testing.assert_allclose(p @ t, found["eta"], atol=1e-14)
    centred = np.asarray(t) - p @ t
    np.testing.assert_allclose(centred.T @ (p[:, None] * centred), found["map"], atol=1e-14)


LAWS = {
    "poisson": (Poisson(), [math.log(2.5)], lambda x: stats.poisson(2.5).logpmf(x), [0, 1, 7]),
    "known-variance": (
        GaussianKnownVariance(4.0), [0.3], lambda x: stats.norm(1.2, 2.0).logpdf(x), [-1.0, 2.5],
    ),
    "gaussian": (
        Gaussian(), [0.5 / 2.25, -0.5 / 2.25], lambda x: stats.norm(0.5, 1.5).logpdf(x), [-1.0, 3],
    ),
    "exponential": (
        Exponential(), [-0.4], lambda x: stats.expon(scale=2.5).logpdf(x), [0.1, 4.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_densities_are_those_of_scipy(name):
    family, natural, log_density, values = LAWS[name]
    found, _ = table(family, jnp.asarray(natural), np.asarray(values))
    np.testing.assert_allclose(found, log_density(np.asarray(values)), rtol=1e-13)


def test_the_multivariate_gaussian_is_that_of_scipy():
    family = MultivariateGaussian(3)
    root = np.random.default_rng(0).normal(size=(3, 4))
    mean, covariance = np.asarray([0.3, -1.0, 2.0]), root @ root.T
    x = np.asarray([1.0, 0.5, -0.2])

    @jax.jit
    def asked(mean, covariance, x):
        natural = family.natural_of(mean, covariance)
        return family.log_density(natural, x), family.moments(natural)

    log_density, moments = asked(mean, covariance, x)
    expected = stats.multivariate_normal(mean, covariance).logpdf(x)
    assert float(log_density) == pytest.approx(expected, rel=1e-12)
    for found, wanted in zip(moments, (mean, covariance), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


@each
def test_samples_have_the_expected_statistics(name):
    family, natural, count = FAMILIES[name], member(name), 20_000

    @eqx.filter_jit
    def mean_statistics(q):
        drawn = family.sample(q, jax.random.key(1), count)
        found = jax.vmap(lambda x: ravel_pytree(family.statistics(x))[0])(drawn)
        return jnp.mean(found, axis=0)

    known = everything(family, natural)
    deviations = np.sqrt(np.diag(known["map"]) / count)
    assert np.max(np.abs(mean_statistics(natural) - known["eta"]) / deviations) < 4.5


def test_divergence_is_the_sum_of_its_definition():
    family, natural = joint(3, (3, 2))
    _, other = joint(3, (3, 2), seed=1)
    values = finite_values(family)
    log_p, log_q = (np.asarray(table(family, q, values)[0]) for q in (natural, other))
    expected = np.sum(np.exp(log_p) * (log_p - log_q))
    found = eqx.filter_jit(type(family).divergence)(family, natural, other)
    assert float(found) == pytest.approx(expected, rel=1e-12)


@eqx.filter_jit
def expected_by(member):
    return member.expectation


def test_fitting_matches_moments():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, 50)
    fitted = Distribution.fit(Gaussian(), x)
    np.testing.assert_allclose(expected_by(fitted), [x.mean(), (x**2).mean()], rtol=1e-12)
    faces = np.asarray([0, 0, 1, 2])
    fitted = Distribution.fit(Categorical(4), faces, weight=4.0)  # one of each besides
    np.testing.assert_allclose(expected_by(fitted), np.asarray([2, 2, 1]) / 8, rtol=1e-12)


def test_conditionals_of_a_classifier_are_those_of_the_joint():
    family, natural = joint(3, (3, 2))
    model = GenerativeClassifier(family, natural)
    x = (jnp.asarray(2), jnp.asarray(1))
    values = tuple(np.full(3, value) for value in x), np.arange(3)
    log_p = np.asarray(table(family, natural, values)[0])
    evidence = np.log(np.sum(np.exp(log_p)))
    logits, found = eqx.filter_jit(lambda m: (jax.nn.log_softmax(m(x)), m.log_evidence(x)))(model)
    np.testing.assert_allclose(logits, log_p - evidence, atol=1e-13)
    assert float(found) == pytest.approx(evidence, abs=1e-13)


FAR = (1000 + stats.norm.ppf((np.arange(64) + 0.5) / 64)).astype(np.float32)  # N(1000, 1)

REFUSED = [
    (lambda: Categorical(1), "`outcomes` is 1; it must be a whole number"),
    (lambda: GaussianKnownVariance(0.0), "`variance` is 0.0; it must be a number above 0"),
    (lambda: MultivariateGaussian(0), "`dimension` is 0"),
    (lambda: Independent(Gaussian(), 0), "`count` is 0"),
    (lambda: NaiveBayes(1, Gaussian()), "`classes` is 1"),
    (lambda: Distribution.fit(Categorical(3), [0, 1, 0]), r"\(outcome 2 never occurs\): give a"),
    (lambda: Distribution.fit(Categorical(6), [1, 6, 3]), r"value 1 .* numbered from 0\)\.$"),
    (lambda: Distribution.fit(Categorical(3), [0.0, 1.5]), r"arrays float64\[2\], are no values"),
    (lambda: Distribution.fit(Gaussian(), [1.0, math.nan]), "value 1 of the data .* not finite"),
    (lambda: Distribution.fit(Gaussian(), []), "the data are empty"),
    (lambda: Distribution.fit(Gaussian(), np.asarray(1.0)), "no leading axis in common"),
    (
        lambda: Distribution.fit(Gaussian(), np.ones((3, 2))),
        r"float64\[3, 2\], are no values of",
    ),
    (lambda: Distribution.fit(MultivariateGaussian(2), np.ones(3)), "are no values of Multi"),
    (lambda: Distribution.fit(Poisson(), [2, -3]), "value 1 of the data cannot occur in Poisson"),
    (lambda: Distribution.fit(Poisson(), [2.5, 3]), "value 0 of the data cannot occur in Poisson"),
    (lambda: Distribution.fit(Exponential(), [2.0, -1.0]), "value 1 .* occur in Exponential"),
    (
        lambda: Distribution.fit(Gaussian(), FAR),
        r"\(the mean is too far from zero for float32: subtract it from the data, or .*64\)\.$",
    ),
    (
        lambda: Distribution.fit(MultivariateGaussian(2), np.c_[FAR, FAR[::-1]]),
        "the mean is too far from zero for float32",
    ),
    (lambda: Distribution.fit(Gaussian(), [1.0, 1.0]), "the variance is not above zero"),
    (lambda: Distribution.fit(Poisson(), [0, 0]), "the mean of the counts is not above zero"),
    (
        lambda: Distribution.fit(MultivariateGaussian(2), np.eye(2)),
        "the covariance is not positive definite",
    ),
    (
        lambda: GenerativeClassifier.fit(
            NaiveBayes(3, (Categorical(2),)), ((np.asarray([0, 1, 1]),), np.asarray([0, 0, 2]))
        ),
        r"\(label 1 has no example\)",
    ),
    (
        lambda: GenerativeClassifier.fit(
            NaiveBayes(2, (Categorical(2),)), ((np.asarray([0, 1, 1]),), np.asarray([0, 0, 1]))
        ),
        r"\(of label 1, outcome 0 never occurs\)",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as found:
        make()
    assert "\n" not in str(found.value)
