"""Regression in closed form: kinds of numbers, and what is refused."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications import gp

X = np.linspace(0, 1, 8)[:, None]
Y = np.sin(3 * X[:, 0])


@eqx.filter_jit
def _evidence(exact):
    return exact.log_evidence()


def test_whole_numbers_are_taken_as_floating_point_ones():
    x, y = np.asarray([[0], [1], [3]]), np.asarray([1, 3, 2])
    found, expected = (
        _evidence(gp.GPR(gp.RBF(1.5, 1.5), a, b, 0.1)) for a, b in ((x, y), (1.0 * x, 1.0 * y))
    )
    np.testing.assert_array_equal(found, expected)


def test_float32_needs_no_factor_of_the_prior():
    """The noise is part of the matrix that is factored, so that its jitter may be lost."""
    exact = gp.GPR(gp.RBF(2.0), X, Y, 0.1)
    single = gp.GPR(gp.RBF(2.0), X.astype(np.float32), Y.astype(np.float32), 0.1)
    assert _evidence(single).dtype == jnp.float32
    np.testing.assert_allclose(_evidence(single), _evidence(exact), rtol=1e-5)


def test_a_factor_that_does_not_exist_is_refused():
    x, y = X.astype(np.float32), Y.astype(np.float32)
    cause = r"^in float32 a jitter below 1e-6 is lost: call `jax"
    with pytest.raises(ValueError, match=cause):
        gp.SGPR(gp.RBF(2.0), x, x, y, 0.1).bound()
    with pytest.raises(ValueError, match=cause):
        gp.GPR(gp.RBF(2.0), x, y, 0.0).log_evidence()
    twice = np.concatenate([X, X])
    with pytest.raises(ValueError, match=r"^the kernel matrix of 16 points has no Cholesky"):
        gp.GPR(gp.RBF(), twice, np.concatenate([Y, Y]), 0.0, jitter=0.0).log_evidence()


def test_data_of_another_shape_are_refused():
    for x, y in ((X[:, 0], Y), (X, Y[:, None]), (X, Y[:3])):
        with pytest.raises(ValueError, match=r"give points \(n, d\) and one number for each"):
            gp.GPR(gp.RBF(), x, y, 0.1)
        with pytest.raises(ValueError, match=r"give points \(n, d\) and one number for each"):
            gp.SGPR(gp.RBF(), X, x, y, 0.1)
