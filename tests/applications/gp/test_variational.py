"""Natural gradients of variational Gaussian processes: closed forms, and site updates."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pinn_ngd.applications import gp
from pinn_ngd.metrics.normal import COORDINATES
from pinn_ngd.models import MultivariateNormal

from .helpers import (
    LIKELIHOODS,
    N,
    X,
    asked,
    best_of,
    bound_of,
    natural,
    objective_of,
    some_q,
    stepped,
    with_q,
)  # fmt: skip

KERNEL = gp.Matern32(0.8, 1.3)
INDUCING = np.linspace(-2, 2, 4)[:, None]
GAUSSIAN, TARGETS = LIKELIHOODS["gaussian"]
OTHER = jnp.linspace(-2.5, 2.5, 7)[:, None]


def _matrix(x, y):
    return np.asarray(gp.cross_covariance(KERNEL, jnp.asarray(x), jnp.asarray(y)))


def _gauss_hermite(slope, m, v):
    """E[slope(f)] and E[slope'(f)] = 2 dE/dv by 20 nodes, where slope is d log p / df."""
    t, w = np.polynomial.hermite.hermgauss(20)
    f = m[:, None] + np.sqrt(2 * v)[:, None] * t
    slopes = slope(f) * w / np.sqrt(np.pi)
    return slopes.sum(1), (slopes * t).sum(1) * np.sqrt(2 / v)


def _student(f, y):
    z = y[:, None] - f
    return 4 * z / (3 * 0.4**2 + z**2)


SLOPES = {
    "logit": lambda f, y: y[:, None] - 1 / (1 + np.exp(-f)),
    "probit": lambda f, y: (s := 2 * y[:, None] - 1) * stats.norm.pdf(f) / stats.norm.cdf(s * f),
    "student-t": _student,
}


def _derivatives(name, y, m, v):
    """For every latent function E[d log p] and E[d^2 log p], (p, n) each, in NumPy."""
    if name == "gaussian":
        return [((y - m[0]) / 0.2, np.full(N, -1 / 0.2))]
    if name == "poisson":
        rate = np.exp(m[0] + v[0] / 2)
        return [(y - rate, -rate)]
    if name == "heteroskedastic":
        precision = np.exp(-2 * m[1] + 2 * v[1])
        square = precision * ((y - m[0]) ** 2 + v[0])
        return [(precision * (y - m[0]), -precision), (square - 1, -2 * square)]
    return [_gauss_hermite(lambda f: SLOPES[name](f, y), m[0], v[0])]


SLOWER = [pytest.param(n, marks=pytest.mark.slow) for n in ("gaussian", "probit", "poisson")]


@pytest.mark.parametrize("name", ["logit", "student-t", "heteroskedastic", *SLOWER])
def test_a_step_is_the_site_update_of_khan_and_lin(name):
    """S^-1 <- (1 - g) S^-1 + g (K^-1 - diag e2), S^-1 m <- (1 - g) S^-1 m + g (e1 - e2 m)."""
    likelihood, y = LIKELIHOODS[name]
    gamma = 0.3
    qs = [some_q(seed) for seed in range(likelihood.latents)]
    start = gp.VGP(KERNEL, X, whitened=False, jitter=0.0)
    model = gp.GPModel([with_q(start, q) for q in qs], likelihood)
    new, info = stepped(model, objective_of(y), natural(gamma))
    assert info.accepted
    prior = np.linalg.inv(_matrix(X, X))
    m = [np.asarray(q.mean) for q in qs]
    v = [np.diagonal(q.covariance) for q in qs]
    for q, (e1, e2), mean, process in zip(
        qs, _derivatives(name, y, m, v), m, new.processes, strict=True
    ):
        before = np.linalg.inv(q.covariance)
        precision = (1 - gamma) * before + gamma * (prior - np.diag(e2))
        linear = (1 - gamma) * before @ mean + gamma * (e1 - e2 * mean)
        expected = np.linalg.inv(precision)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(process.q.covariance, expected, atol=1e-12 * scale)
        np.testing.assert_allclose(process.q.mean, expected @ linear, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("whitened", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_one_step_of_a_full_model_is_exact_regression(whitened):
    process = gp.VGP(KERNEL, X, whitened=whitened)
    model = gp.GPModel(with_q(process, some_q(0)), GAUSSIAN)
    objective = objective_of(TARGETS)
    new, _ = stepped(model, objective)
    exact = gp.GPR(KERNEL, jnp.asarray(X), jnp.asarray(TARGETS), 0.2)
    evidence, marginals, posterior = asked(exact, OTHER)
    np.testing.assert_allclose(bound_of(new, objective), evidence, rtol=1e-9)
    at = eqx.filter_jit(lambda p: (p.marginals(OTHER), p.at_data(jnp.asarray(X))))
    elsewhere, here = at(new.processes[0])
    for found, expected in zip(elsewhere, marginals, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)  # jitter's size
    np.testing.assert_allclose(here[0], posterior.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(here[1], np.diagonal(posterior.covariance), rtol=1e-9)


@pytest.mark.parametrize("whitened", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_one_step_of_a_sparse_model_is_the_bound_of_titsias(whitened):
    process = gp.SVGP(KERNEL, INDUCING, whitened=whitened)
    model = gp.GPModel(with_q(process, some_q(0, 4)), GAUSSIAN)
    objective = objective_of(TARGETS)
    new, _ = stepped(model, objective)
    exact = gp.SGPR(KERNEL, jnp.asarray(INDUCING), jnp.asarray(X), jnp.asarray(TARGETS), 0.2)
    bound, best = best_of(exact)
    np.testing.assert_allclose(bound_of(new, objective), bound, rtol=1e-9)
    if whitened:
        np.testing.assert_allclose(new.processes[0].q.mean, best.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(new.processes[0].q.factor, best.factor, atol=1e-9)


def test_closed_forms_are_those_of_dense_linear_algebra():
    """log N(y | 0, K + noise), and for all points as inducing inputs the bound is the evidence."""
    x, y = jnp.asarray(X), jnp.asarray(TARGETS)
    covariance = _matrix(X, X) + 0.2 * np.eye(N)
    expected = stats.multivariate_normal(np.zeros(N), covariance).logpdf(TARGETS)
    evidence, marginals, _ = asked(gp.GPR(KERNEL, x, y, 0.2, jitter=0.0), OTHER)
    np.testing.assert_allclose(evidence, expected, rtol=1e-12)
    bound, _ = best_of(gp.SGPR(KERNEL, x, x, y, 0.2, 0.0))
    np.testing.assert_allclose(bound, expected, rtol=1e-11)
    weights = np.linalg.solve(covariance, TARGETS)
    np.testing.assert_allclose(marginals[0], _matrix(OTHER, X) @ weights, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["expectation", "mean-covariance", "mean-cholesky",
                                  "mean-log-cholesky"])  # fmt: skip
def test_all_coordinates_lead_to_one_optimum(name):
    """Short steps from the same start: the bound of Titsias again, to as many digits as they have
    had time for."""
    process = gp.SVGP(KERNEL, INDUCING)
    model, objective = gp.GPModel(process, GAUSSIAN), objective_of(TARGETS)
    optimizer = natural(0.1, COORDINATES[name], natural_steps=250)
    new, info = stepped(model, objective, optimizer)
    exact = gp.SGPR(KERNEL, jnp.asarray(INDUCING), jnp.asarray(X), jnp.asarray(TARGETS), 0.2)
    assert info.accepted
    bound = -objective.loss(new, objective.batch())
    np.testing.assert_allclose(bound, exact.bound(), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logit", "probit", "poisson"])
def test_the_optimum_of_a_log_concave_model_is_a_fixed_point(name):
    """At the optimum S^-1 = K^-1 - diag(e2) and K^-1 m = e1, whatever led there."""
    likelihood, y = LIKELIHOODS[name]
    model = gp.GPModel(gp.VGP(KERNEL, X, whitened=False, jitter=0.0), likelihood)
    new, _ = stepped(model, objective_of(y), natural(1.0, natural_steps=60))
    q = new.processes[0].q
    prior = np.linalg.inv(_matrix(X, X))
    ((e1, e2),) = _derivatives(name, y, [np.asarray(q.mean)], [np.diagonal(q.covariance)])
    np.testing.assert_allclose(prior @ q.mean, e1, atol=1e-9)
    np.testing.assert_allclose(np.linalg.inv(q.covariance), prior - np.diag(e2), atol=1e-8)


@pytest.mark.slow
def test_a_step_that_leaves_the_cone_is_halved_or_refused():
    """Beyond sqrt(degrees) scales log p is convex: the whole step has no covariance."""
    q = MultivariateNormal(some_q(0).mean, 0.15 * np.eye(N))
    likelihood, y = gp.StudentT(0.3, 2.0), np.asarray(q.mean) + 0.75
    start = with_q(gp.VGP(KERNEL, X, whitened=False), q)
    model, objective = gp.GPModel(start, likelihood), objective_of(y)
    refused, told = stepped(model, objective, natural(1.0, halvings=0))
    np.testing.assert_array_equal(refused.processes[0].q.root, start.q.root)
    assert not told.accepted
    new, info = stepped(model, objective, natural(1.0, halvings=8))
    assert info.accepted
    assert np.isfinite(new.processes[0].q.root).all()
    for length in 0.5 ** np.arange(1, 9):  # the first of these lengths that is possible
        same, alone = stepped(model, objective, natural(float(length), halvings=0))
        if alone.accepted:
            break
    np.testing.assert_array_equal(same.processes[0].q.root, new.processes[0].q.root)


def test_minibatches_have_the_bound_as_their_mean():
    process = with_q(gp.SVGP(KERNEL, INDUCING), some_q(0, 4))
    model = gp.GPModel(process, GAUSSIAN)
    whole, parts = objective_of(TARGETS), objective_of(TARGETS, 3)
    key = jax.random.key(3)
    loss = eqx.filter_jit(parts.loss)
    losses = [loss(model, parts.draw(key, number)) for number in range(3)]
    np.testing.assert_allclose(np.mean(losses), -bound_of(model, whole), rtol=1e-13)
    assert parts.steps_per_batch == 1
    assert whole.steps_per_batch is None


@pytest.mark.slow
def test_the_bound_is_below_the_evidence_and_its_gap_is_the_divergence():
    """log p(y) - ELBO = KL(q | posterior), with the exact posterior of regression."""
    q = some_q(5)
    process = with_q(gp.VGP(KERNEL, X, whitened=False), q)
    objective = objective_of(TARGETS)
    bound = -objective.loss(gp.GPModel(process, GAUSSIAN), objective.batch())
    exact = gp.GPR(KERNEL, jnp.asarray(X), jnp.asarray(TARGETS), 0.2)
    posterior = exact.posterior()
    inverse, difference = np.linalg.inv(posterior.covariance), posterior.mean - q.mean
    logs = np.linalg.slogdet(posterior.covariance)[1] - np.linalg.slogdet(q.covariance)[1]
    trace = np.trace(inverse @ q.covariance)
    divergence = 0.5 * (trace + difference @ inverse @ difference - N + logs)
    np.testing.assert_allclose(exact.log_evidence() - bound, divergence, rtol=1e-9)


@pytest.mark.slow
def test_a_prior_mean_is_added():
    y = TARGETS + 2 * X[:, 0]
    exact = gp.GPR(KERNEL, jnp.asarray(X), jnp.asarray(TARGETS), 0.2)
    model = gp.GPModel(gp.VGP(KERNEL, X, prior_mean=lambda x: 2 * x[0]), GAUSSIAN)
    new, _ = stepped(model, objective_of(y))
    expected = exact.marginals(OTHER)[0] + 2 * OTHER[:, 0]
    np.testing.assert_allclose(new.predictive_mean(OTHER), expected, atol=1e-6)
    np.testing.assert_allclose(new(OTHER[2]), expected[2], atol=1e-6)
