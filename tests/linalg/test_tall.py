"""Products of tall matrices on one device; on several in tests/test_several.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import tall


@pytest.mark.parametrize("columns", [0, 1, 7, 16, 37])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_gram_matrix_by_halves_is_the_product(columns, dtype, monkeypatch):
    monkeypatch.setattr(tall, "LEAF", 4)
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 50, columns))
    matrix = parts[0] + 1j * parts[1] if dtype == np.complex128 else parts[0]
    product = np.asarray(tall.gram_matrix(jnp.asarray(matrix)))
    assert product.dtype == dtype
    np.testing.assert_allclose(product, matrix.conj().T @ matrix, rtol=0, atol=1e-13)


def test_gram_matrix_multiplies_little_more_than_half(monkeypatch):
    """With leaves of m / 8 columns: 1/2 + 1/16 of the 2 n m^2 operations of a product."""
    rows, columns = 128, 64
    monkeypatch.setattr(tall, "LEAF", columns // 8)
    lowered = jax.jit(tall.gram_matrix).lower(jnp.ones((rows, columns)))
    counted = lowered.compile().cost_analysis()["flops"]
    assert counted < 0.57 * 2 * rows * columns**2
