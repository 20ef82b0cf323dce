"""Differential operators against analytic derivatives."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry.calculus import (
    directional_derivative,
    divergence,
    gradient,
    laplacian,
    normal_derivative,
    spatial_gradient,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.geometry.domains import Box
from pinn_ngd.models import MLP

HAS_FOLX = importlib.util.find_spec("folx") is not None
METHODS = [
    "forward",
    "hessian",
    "jet",
    pytest.param("folx", marks=pytest.mark.skipif(not HAS_FOLX, reason="folx is not installed")),
]


def wave(x):
    """u = exp(a . x) with a_i = i / d, i = 1, ..., d: every derivative is known."""
    slopes = jnp.asarray(np.arange(1, x.shape[0] + 1) / x.shape[0], dtype=x.dtype)
    return jnp.exp(jnp.dot(slopes, x))


def slopes(d):
    return np.arange(1, d + 1) / d


def point(d, dtype=jnp.float64):
    return jnp.asarray(np.linspace(-0.4, 0.7, d), dtype=dtype)


@pytest.mark.parametrize(
    ("d", "dtype"), [(1, jnp.float64), (2, jnp.float32), (5, jnp.float64), (12, jnp.float64)]
)
@pytest.mark.parametrize("method", METHODS)
def test_laplacian_is_the_analytic_one(method, d, dtype):
    x = point(d, dtype)
    value = jax.jit(laplacian(wave, method))(x)
    assert value.dtype == dtype
    assert value.shape == ()
    rtol = 1e-13 if dtype == jnp.float64 else 1e-5
    expected = np.sum(slopes(d) ** 2) * np.exp(np.dot(slopes(d), np.asarray(x)))
    np.testing.assert_allclose(value, expected, rtol=rtol)


@pytest.mark.parametrize("method", METHODS)
def test_laplacian_of_vectors_is_componentwise(method):
    def field(x):
        return jnp.stack([x[0] ** 3, jnp.sin(x[0]) * x[1] ** 2])

    x = jnp.asarray([0.3, 0.7])
    expected = [6 * 0.3, np.sin(0.3) * (2 - 0.7**2)]
    np.testing.assert_allclose(jax.jit(laplacian(field, method))(x), expected, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_laplacian_over_some_axes(method):
    x = point(4)
    value = jax.jit(laplacian(wave, method, axes=(3, 1)))(x)
    np.testing.assert_allclose(value, (1.0 + 0.25) * wave(x), rtol=1e-13)


@pytest.fixture(scope="module")
def parameter_gradients():
    """A compiled function of the method: the rows of a residual Jacobian for Delta u."""
    model = MLP((2, 4, 1), key=jax.random.key(0))
    points = jnp.asarray([[0.1, 0.2], [0.5, 0.9], [0.7, 0.3]])

    @functools.cache
    def rows(method):
        def residual(model, x):
            return laplacian(model, method)(x)

        return jax.jit(jax.vmap(jax.grad(residual), (None, 0)))(model, points)

    return rows


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_inside_a_parameter_gradient(method, parameter_gradients):
    expected, found = (jax.tree.leaves(parameter_gradients(m)) for m in ("hessian", method))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12)


def test_unrolled_sum_agrees_with_the_vectorized_one(monkeypatch):
    x = point(5)
    unrolled = jax.jit(laplacian(wave))(x)
    monkeypatch.setattr("pinn_ngd.geometry.calculus._UNROLLED", 0)
    np.testing.assert_allclose(jax.jit(laplacian(wave))(x), unrolled, rtol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_first_derivatives(dtype):
    x = point(3, dtype)
    expected = slopes(3) * np.asarray(wave(x), dtype=float)
    operators = (gradient, time_derivative, spatial_gradient)
    values = jax.jit(lambda x: [operator(wave)(x) for operator in operators])(x)
    rtol = 1e-13 if dtype == jnp.float64 else 1e-5
    for value, exact in zip(values, (expected, expected[0], expected[1:]), strict=True):
        assert value.dtype == dtype
        np.testing.assert_allclose(value, exact, rtol=rtol)


def test_gradient_of_a_vector_is_its_jacobian():
    def field(x):
        return jnp.stack([x[0] * x[1], x[1] ** 2, x[0]])

    x = jnp.asarray([2.0, 3.0])
    operators = (gradient, spatial_gradient, time_derivative)
    full, spatial, rate = jax.jit(lambda x: [operator(field)(x) for operator in operators])(x)
    np.testing.assert_allclose(full, [[3.0, 2.0], [0.0, 6.0], [1.0, 0.0]])
    np.testing.assert_allclose(spatial, [[2.0], [6.0], [0.0]])
    np.testing.assert_allclose(rate, [3.0, 0.0, 1.0])


@pytest.mark.parametrize("d", [2, 12])
def test_divergence(d):
    value = jax.jit(divergence(lambda x: x**3 + jnp.roll(x, 1) ** 2))(point(d))
    np.testing.assert_allclose(value, np.sum(3 * point(d) ** 2), rtol=1e-14)


def test_divergence_of_the_gradient_is_the_laplacian():
    x = point(4)
    twice = jax.jit(divergence(gradient(wave)))(x)
    np.testing.assert_allclose(twice, np.sum(slopes(4) ** 2) * wave(x), rtol=1e-14)


def test_heat_kernel_solves_the_heat_equation():
    def kernel(x):
        return jnp.exp(-jnp.sum(x[1:] ** 2) / (4.0 * x[0])) / x[0]

    x = jnp.asarray([0.5, 0.3, -0.2])
    rate = jax.jit(time_derivative(kernel))(x)
    assert abs(rate) > 0.1
    for method in ("forward", "hessian", "jet"):
        np.testing.assert_allclose(jax.jit(spatial_laplacian(kernel, method))(x), rate, rtol=1e-13)


def test_directional_and_normal_derivatives():
    x = point(2)
    expected = 3.0 * 0.5 * wave(x) - 2.0 * wave(x)
    np.testing.assert_allclose(directional_derivative(wave, (3, -2))(x), expected, rtol=1e-14)
    face = Box((0, 0), (1, 1)).boundary().faces[0]
    np.testing.assert_allclose(normal_derivative(wave)(x, face.normal), -0.5 * wave(x), rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: laplacian(wave, axes=(2,))(point(2)), "`axes` = .*from 0 to 1"),
        (lambda: laplacian(wave, axes=(0, 0))(point(2)), "distinct"),
        (lambda: spatial_laplacian(wave)(point(1)), "`axes`"),
        (lambda: divergence(wave)(point(2)), "`v` maps x.*as many components"),
    ],
)
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_unknown_method():
    # The type checker of the tests stops the wrong literal before our own check does.
    with pytest.raises((ValueError, TypeError), match=r"method.*spectral"):
        laplacian(wave, "spectral")  # pyright: ignore[reportArgumentType]


@pytest.mark.skipif(HAS_FOLX, reason="folx is installed")
def test_missing_folx_says_how_to_install_it():
    with pytest.raises(ImportError, match=r"pip install 'pinn-ngd\[folx\]'"):
        laplacian(wave, "folx")(point(2))
