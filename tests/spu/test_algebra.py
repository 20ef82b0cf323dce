"""Linear algebra by sampling, against SciPy: within five standard errors, which must be small."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd import spu

KEY = jax.random.key(3)
PSD = lx.positive_semidefinite_tag
RUNTIME = (ValueError, jax.errors.JaxRuntimeError)
READ = {"samples": 20_000, "spacing": 8.0, "burn_in": 40.0}


@pytest.fixture(scope="module")
def matrix():
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    matrix = (vectors * [0.4, 0.7, 1.0, 2.0, 4.0]) @ vectors.T
    return (matrix + matrix.T) / 2


@pytest.fixture(scope="module")
def operator(matrix):
    return lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)


def _agrees(estimate, expected, largest):
    assert np.max(estimate.standard_error) < largest
    error = np.abs(np.asarray(estimate.value) - expected)
    # Five standard errors, themselves known to a sixth, in up to 25 entries.
    assert np.all(error < 5 * np.asarray(estimate.standard_error))


def test_gaussian_samples(operator, matrix):
    b = jnp.arange(5.0)
    x = np.asarray(spu.gaussian_samples(operator, KEY, temperature=0.5, b=b, **READ))
    covariance = 0.5 * np.linalg.inv(matrix)
    scale = np.sqrt(np.diag(covariance))
    error = abs(x.mean(0) - np.linalg.solve(matrix, b))
    assert np.all(error < 5 * 1.05 * scale / READ["samples"] ** 0.5)
    error = abs(np.cov(x.T) - covariance) / np.outer(scale, scale)
    assert error.max() < 5 * np.sqrt(2 / READ["samples"])


def test_inverse(operator, matrix):
    estimate = spu.inverse(operator, KEY, temperature=0.01, **READ)
    _agrees(estimate, np.linalg.inv(matrix), 0.05)
    coarse = spu.inverse(operator, KEY, samples=200, spacing=8.0, burn_in=40.0)
    ratio = np.median(coarse.standard_error) / np.median(estimate.standard_error)
    assert 5 < ratio < 20  # the square root of a hundred


def test_lyapunov(operator, matrix):
    root = np.random.default_rng(1).normal(size=(5, 5))
    noise = root @ root.T + np.eye(5)
    estimate = spu.lyapunov(operator, jnp.asarray(noise), KEY, **READ)
    _agrees(estimate, scipy.linalg.solve_continuous_lyapunov(matrix, noise), 0.5)


def test_log_determinant(operator, matrix):
    estimate = spu.log_determinant(operator, KEY, samples=4000, spacing=8.0, burn_in=40.0)
    _agrees(estimate, np.linalg.slogdet(matrix)[1], 0.05)


def test_matrix_exponential(operator, matrix):
    estimate = spu.matrix_exponential(operator, 0.7, KEY, samples=4000, temperature=0.1)
    _agrees(estimate, scipy.linalg.expm(-0.7 * matrix), 0.01)
    cold = spu.matrix_exponential(operator, 0.7, KEY, samples=20, temperature=0.0)
    np.testing.assert_allclose(cold.value, scipy.linalg.expm(-0.7 * matrix), atol=1e-14)


def _log_determinant_by_rule(e, nodes):
    """What the rule makes of eigenvalues e of mean one, without any sampling."""
    s, weights = spu.algebra.path_rule(jnp.min(e), jnp.max(e), nodes)
    integrand = jnp.sum((e - 1) / (1 + s[:, None] * (e - 1)), axis=1)
    return float(weights @ integrand)


@pytest.mark.parametrize(("condition", "limit"), [(50.0, 1e-12), (1e3, 2e-8), (1e4, 2e-6)])
def test_quadrature_of_the_log_determinant(condition, limit):
    levels = [np.append(np.ones(m), np.full(200 - m, 1 / condition)) for m in (1, 20, 100, 199)]
    for values in [*levels, np.geomspace(1, condition, 200), np.linspace(1, condition, 200)]:
        e = values / values.mean()
        found = _log_determinant_by_rule(jnp.asarray(e), 12)
        assert abs(found - np.log(e).sum()) / len(e) < limit


def test_quadrature_of_a_multiple_of_the_identity():
    assert abs(_log_determinant_by_rule(jnp.ones(200), 12)) == 0


def test_singular_operators_have_no_log_determinant():
    for values in ([1.0, 0.0, 2.0], [1.0, 1e-17, 2.0]):
        singular = lx.MatrixLinearOperator(jnp.diag(jnp.asarray(values)), PSD)
        with pytest.raises(RUNTIME, match="`operator` is singular"):
            jax.block_until_ready(spu.log_determinant(singular, KEY, samples=20, spacing=1.0).value)


@pytest.mark.parametrize("kind", ["indefinite", "unsymmetric"])
@pytest.mark.parametrize("name", ["exponential", "inverse", "lyapunov"])
def test_bad_operators_under_jit(kind, name):
    matrix = {"indefinite": jnp.diag(jnp.asarray([1.0, -1.0])), "unsymmetric": jnp.eye(2)}[kind]
    matrix = matrix.at[0, 1].set(0.1 if kind == "unsymmetric" else 0.0)
    read = {"samples": 20, "spacing": 1.0}
    functions = {
        "exponential": lambda a: spu.matrix_exponential(a, 1.0, KEY, samples=20),
        "inverse": lambda a: spu.inverse(a, KEY, **read),
        "lyapunov": lambda a: spu.lyapunov(a, jnp.eye(2), KEY, **read),
    }

    @jax.jit
    def run(matrix):
        return functions[name](lx.MatrixLinearOperator(matrix, PSD)).value

    with pytest.raises(RUNTIME, match=f"`operator` is {kind}"):
        jax.block_until_ready(run(matrix))


def test_noise_of_the_lyapunov_equation(operator, matrix):
    vector = np.arange(1.0, 6.0)
    estimate = spu.lyapunov(operator, jnp.outer(vector, vector), KEY, **READ)  # of rank one
    _agrees(estimate, scipy.linalg.solve_continuous_lyapunov(matrix, np.outer(vector, vector)), 1)
    for wrong in (-jnp.eye(5), jnp.eye(5).at[0, 1].set(0.5)):
        with pytest.raises(RUNTIME, match="`noise` is no covariance"):
            jax.block_until_ready(spu.lyapunov(operator, wrong, KEY, **READ).value)


@pytest.mark.slow
def test_single_precision(matrix):
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix, jnp.float32), PSD)
    read = {"samples": 200, "spacing": 8.0, "burn_in": 40.0}
    samples = spu.gaussian_samples(operator, KEY, b=jnp.ones(5, jnp.float32), **read)
    estimates = [
        spu.inverse(operator, KEY, **read),
        spu.lyapunov(operator, jnp.eye(5, dtype=jnp.float32), KEY, **read),
        spu.log_determinant(operator, KEY, **read),
        spu.matrix_exponential(operator, 0.7, KEY, samples=20, temperature=0.1),
    ]
    for array in [samples, *(e.value for e in estimates), *(e.standard_error for e in estimates)]:
        assert array.dtype == jnp.float32
        assert np.all(np.isfinite(array))


def test_bad_requests(operator):
    with pytest.raises(ValueError, match=r"`temperature` is 0.0, but what is read is the noise"):
        spu.inverse(operator, KEY, temperature=0.0, **READ)
    with pytest.raises(ValueError, match="`samples` is 3"):
        spu.inverse(operator, KEY, samples=3, spacing=1.0)
    with pytest.raises(ValueError, match="`operator` is not known"):
        spu.inverse(lx.MatrixLinearOperator(jnp.eye(2)), KEY, **READ)
    with pytest.raises(ValueError, match=r"`spacing` is 0.0"):
        spu.lyapunov(operator, jnp.eye(5), KEY, samples=20, spacing=0.0)
    with pytest.raises(ValueError, match=r"`burn_in` is -1.0"):
        spu.inverse(operator, KEY, samples=20, spacing=1.0, burn_in=-1.0)
    for arguments, match in (({"temperature": -1.0}, "`temperature`"), ({}, "`time` is -1")):
        time = 1.0 if arguments else -1.0
        with pytest.raises(ValueError, match=match):
            spu.matrix_exponential(operator, time, KEY, samples=20, **arguments)
