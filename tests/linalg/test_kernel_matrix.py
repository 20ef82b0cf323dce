"""A A^T, three ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import JacobianRows, ProductOperator, kernel_matrix


class _Knowing(JacobianRows):
    def kernel_matrix(self):
        return jnp.full((2, 2), 7.0)


def test_stored_rows(dense):
    matrix = jax.random.normal(jax.random.key(0), (5, 9))
    np.testing.assert_allclose(kernel_matrix(dense(matrix)), matrix @ matrix.T, rtol=1e-13)


@pytest.mark.parametrize("rows", [3, 64, 70])
def test_products_in_chunks(rows):
    matrix = jax.random.normal(jax.random.key(0), (rows, 80))
    structure = jax.ShapeDtypeStruct((80,), matrix.dtype)
    operator = ProductOperator(lambda v: matrix @ v, lambda w: matrix.T @ w, structure)
    expected = matrix @ matrix.T
    np.testing.assert_allclose(kernel_matrix(operator), expected, rtol=1e-12, atol=1e-12)


def test_an_operator_may_know_better():
    structures = jax.ShapeDtypeStruct((3,), float), jax.ShapeDtypeStruct((2,), float)
    np.testing.assert_array_equal(kernel_matrix(_Knowing(jnp.ones((2, 3)), *structures)), 7.0)
