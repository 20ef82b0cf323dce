"""Gram matrices on one device; on several in tests/training/test_devices.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import tall


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("size", [0, 1, 3, 6, 7, 16, 37])
@pytest.mark.parametrize("of_rows", [False, True], ids=["columns", "rows"])
def test_gram_matrix_by_blocks_is_the_product(size, dtype, of_rows, monkeypatch):
    monkeypatch.setattr(tall, "FEW", 4)
    parts = np.random.default_rng(0).normal(size=(2, 50, size))
    matrix = parts[0] + 1j * parts[1] if dtype == np.complex128 else parts[0]
    given = matrix.conj().T if of_rows else matrix
    product = np.asarray(tall.gram_matrix(jnp.asarray(given), of_rows=of_rows))
    assert product.dtype == dtype
    np.testing.assert_allclose(product, matrix.conj().T @ matrix, rtol=0, atol=1e-13)


@pytest.mark.parametrize("of_rows", [False, True], ids=["columns", "rows"])
def test_gram_matrix_copies_half_of_the_matrix_at_most(of_rows, monkeypatch):
    """Two slices of a quarter, and blocks of the result."""
    monkeypatch.setattr(tall, "FEW", 4)
    shape = (64, 4096) if of_rows else (4096, 64)
    program = jax.jit(tall.gram_matrix, static_argnames="of_rows")
    lowered = program.lower(jax.ShapeDtypeStruct(shape, jnp.float64), of_rows=of_rows)
    memory = lowered.compile().memory_analysis()
    assert memory is not None
    copied = memory.temp_size_in_bytes
    assert copied < 8 * (64 * 4096 / 2 + 3 * 64**2)
