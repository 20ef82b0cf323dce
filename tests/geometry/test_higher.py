"""Tensor, mixed and higher derivatives against polynomials, identities and other methods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry import (
    biharmonic,
    curl,
    derivative,
    divergence,
    gradient,
    hessian,
    jacobian,
    laplacian,
    second_time_derivative,
    symmetric_gradient,
    tensor_divergence,
)

X = jnp.asarray([0.3, -0.7, 0.5])
PLANE = jnp.asarray([0.4, 0.9])


def scalar(x):
    return jnp.sin(x[0]) * x[1] ** 3 * jnp.exp(0.5 * x[2])


def vector(x):
    return jnp.stack([x[1] * x[2] ** 2, jnp.sin(x[0]) * x[2], x[0] ** 2 * x[1]])


def test_first_and_second_derivatives_are_those_of_reverse_mode():
    np.testing.assert_allclose(jacobian(vector)(X), jax.jacrev(vector)(X), rtol=1e-14)
    np.testing.assert_allclose(jacobian(scalar)(X), gradient(scalar)(X), rtol=1e-14)
    np.testing.assert_allclose(hessian(scalar)(X), jax.jacrev(jax.jacrev(scalar))(X), rtol=1e-13)
    np.testing.assert_allclose(jnp.trace(hessian(scalar)(X)), laplacian(scalar)(X), rtol=1e-13)


def test_a_derivative_along_axes_is_an_entry_of_the_hessian():
    for i, j in ((0, 0), (0, 1), (2, 1)):
        mixed = derivative(scalar, i, j)(X)
        np.testing.assert_allclose(mixed, hessian(scalar)(X)[i, j], rtol=1e-13)
    third = 6 * np.sin(0.3) * np.exp(0.25)  # d^3/dy^3 of y^3
    np.testing.assert_allclose(derivative(scalar, 1, 1, 1)(X), third, rtol=1e-13)
    np.testing.assert_allclose(second_time_derivative(scalar)(X), -scalar(X), rtol=1e-13)


def test_the_curl_of_a_gradient_and_the_divergence_of_a_curl_vanish():
    np.testing.assert_allclose(curl(gradient(scalar))(X), 0.0, atol=1e-15)
    np.testing.assert_allclose(divergence(curl(vector))(X), 0.0, atol=1e-15)


def test_curls_in_space_and_in_the_plane():
    x, y, z = X
    expected = [x**2 - jnp.sin(x), 2 * y * z - 2 * x * y, jnp.cos(x) * z - z**2]
    np.testing.assert_allclose(curl(vector)(X), expected, rtol=1e-14)
    turn = curl(lambda x: jnp.stack([-(x[1] ** 2), x[0] ** 3]))(PLANE)
    np.testing.assert_allclose(turn, 3 * 0.4**2 + 2 * 0.9, rtol=1e-14)


def test_the_divergence_of_a_tensor_is_taken_row_by_row():
    def sigma(x):
        return jnp.stack([vector(x), x * x[0]])

    rows = [divergence(lambda x, i=i: sigma(x)[i])(X) for i in range(2)]
    np.testing.assert_allclose(tensor_divergence(sigma)(X), rows, rtol=1e-13)


def test_elastic_forces_in_two_ways():
    """div (2 mu eps + lambda tr eps I) = mu Laplace v + (mu + lambda) grad div v."""
    mu, lame = 0.7, 1.3

    def stress(x):
        strain = symmetric_gradient(vector)(x)
        return 2 * mu * strain + lame * jnp.trace(strain) * jnp.eye(3)

    expected = mu * laplacian(vector)(X) + (mu + lame) * gradient(divergence(vector))(X)
    np.testing.assert_allclose(tensor_divergence(stress)(X), expected, rtol=1e-12)


def test_the_biharmonic_of_a_polynomial_and_of_a_harmonic_function():
    value = biharmonic(lambda x: x[0] ** 4 + 3 * x[0] ** 2 * x[1] ** 2)(PLANE)
    np.testing.assert_allclose(value, 24 + 24, rtol=1e-13)
    harmonic = biharmonic(lambda x: jnp.exp(x[0]) * jnp.sin(x[1]))(PLANE)
    np.testing.assert_allclose(harmonic, 0.0, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: derivative(scalar), "`axes` is empty"),
        (lambda: derivative(scalar, 3)(X), "not among the 3 coordinates"),
        (lambda: curl(scalar)(X), "2 or 3 coordinates and as many components"),
        (lambda: tensor_divergence(scalar)(X), "a row of d entries for each component"),
    ],
)
def test_what_has_no_such_derivative_says_so(call, words):
    with pytest.raises(ValueError, match=words):
        call()
