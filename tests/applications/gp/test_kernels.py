"""Kernels: closed forms, derivatives at distance zero, sums and products."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications import gp
from pinn_ngd.models import Frozen, Positive

POINTS = np.random.default_rng(0).normal(size=(6, 2))
SCALES = np.asarray([0.5, 2.0])
CLOSED = {  # the covariance of values at the distance r, of variance one
    gp.RBF: lambda r: np.exp(-(r**2) / 2),
    gp.Matern12: lambda r: np.exp(-r),
    gp.Matern32: lambda r: (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r),
    gp.Matern52: lambda r: (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r),
}


_compiled = eqx.filter_jit(gp.cross_covariance)


def _matrix(kernel, x=POINTS, y=POINTS):
    return np.asarray(_compiled(kernel, jnp.asarray(x), jnp.asarray(y)))


@pytest.mark.parametrize("kind", CLOSED)
def test_covariances_with_a_length_for_each_coordinate(kind):
    scaled = POINTS / SCALES
    r = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
    np.testing.assert_allclose(_matrix(kind(SCALES, 1.7)), 1.7 * CLOSED[kind](r), rtol=1e-13)


@pytest.mark.parametrize("kind", CLOSED)
def test_derivatives_are_finite_where_points_coincide(kind):
    def total(kernel):
        return jnp.sum(gp.cross_covariance(kernel, jnp.asarray(POINTS), jnp.asarray(POINTS)))

    kernel = kind(0.7)
    found = eqx.filter_jit(jax.grad(total))(kernel).lengthscale.raw
    step = 1e-6
    moved = [_matrix(kind(0.7 * np.exp(s))).sum() for s in (step, -step)]
    np.testing.assert_allclose(found, (moved[0] - moved[1]) / (2 * step), rtol=1e-7)


def test_matern_kernels_tend_to_the_squared_exponential():
    """The smoother a kernel, the nearer: at one length all fall from 1, in this order."""
    x, y = np.zeros((1, 1)), np.full((1, 1), 1.5)
    values = [_matrix(kind(), x, y)[0, 0] for kind in (gp.Matern12, gp.Matern32, gp.Matern52)]
    assert sorted(values) == values
    assert values[-1] < _matrix(gp.RBF(), x, y)[0, 0]


def test_sums_products_and_kernels_of_some_coordinates():
    a, b = gp.RBF(0.5), gp.Matern32(2.0, 0.3)
    np.testing.assert_allclose(_matrix(a + b), _matrix(a) + _matrix(b), rtol=1e-14)
    np.testing.assert_allclose(_matrix(a * b), _matrix(a) * _matrix(b), rtol=1e-14)
    additive = gp.OfCoordinates(a, (0,)) + gp.OfCoordinates(b, (1,))
    parts = _matrix(a, POINTS[:, :1], POINTS[:, :1]) + _matrix(b, POINTS[:, 1:], POINTS[:, 1:])
    np.testing.assert_allclose(_matrix(additive), parts, rtol=1e-14)


def test_the_jitter_is_relative_to_the_mean_variance():
    kernel, x = gp.Matern12(1.0, 4.0), jnp.asarray(POINTS)
    factor = eqx.filter_jit(gp.cholesky_factor)(kernel, x, 1e-3)
    np.testing.assert_allclose(factor @ factor.T, _matrix(kernel) + 4e-3 * np.eye(6), rtol=1e-13)


def test_parameters_are_positive_or_frozen():
    kernel = gp.RBF(Frozen(Positive(0.3)), 2.0)
    leaves = jax.tree.leaves(jax.tree.map(lambda a: a, kernel))
    assert sum(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves) == 1
    np.testing.assert_allclose(_matrix(kernel)[0, 1], _matrix(gp.RBF(0.3, 2.0))[0, 1], rtol=1e-15)
    with pytest.raises(ValueError, match=r"`start` = -1\.0 is not positive and finite"):
        gp.RBF(-1.0)


def test_points_of_whole_numbers_keep_the_parameters():
    x = np.asarray([[0], [1], [3]])
    kernel = gp.RBF(1.5, 1.5)
    np.testing.assert_array_equal(_matrix(kernel, x, x), _matrix(kernel, 1.0 * x, 1.0 * x))
    np.testing.assert_array_equal(_matrix(kernel, x, 1.0 * x), _matrix(kernel, 1.0 * x, 1.0 * x))


@pytest.mark.parametrize("dimension", [1, 3])
def test_coordinates_are_not_broadcast(dimension):
    x = np.zeros((2, dimension))
    with pytest.raises(ValueError, match="give all points the same coordinates"):
        _matrix(gp.RBF([0.7, 0.7]), x, x)


@pytest.mark.parametrize(
    "attempt",
    [lambda k: 2.0 * k, lambda k: k * 2.0, lambda k: k + 2.0, lambda k: 2 + k],
)
def test_numbers_are_no_kernels(attempt):
    with pytest.raises(TypeError, match=r"give a number as the `variance` of the kernel"):
        attempt(gp.RBF(1.0))


def test_functions_are_kernels_on_both_sides():
    def linear(x, y):
        return x @ y

    left, right = linear + gp.RBF(0.5), linear * gp.RBF(0.5)
    np.testing.assert_array_equal(_matrix(left), _matrix(gp.RBF(0.5) + linear))
    np.testing.assert_array_equal(_matrix(right), _matrix(gp.RBF(0.5) * linear))
