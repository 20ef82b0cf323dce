"""Linear algebra by sampling, against SciPy: within five standard errors, which must be small."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import spu

KEY = jax.random.key(3)
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


def test_bad_requests(operator):
    with pytest.raises(ValueError, match=r"`temperature` is 0.0, but what is read is the noise"):
        spu.inverse(operator, KEY, temperature=0.0, **READ)
    with pytest.raises(ValueError, match="`samples` is 3"):
        spu.inverse(operator, KEY, samples=3, spacing=1.0)
    with pytest.raises(ValueError, match="`operator` is not known"):
        spu.inverse(lx.MatrixLinearOperator(jnp.eye(2)), KEY, **READ)
