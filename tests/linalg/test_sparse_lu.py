"""Sparse solves on the host against dense ones."""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd.linalg import Pattern, sparse_solve

PATTERN = Pattern(np.array([0, 1, 2, 0, 2, 2]), np.array([0, 1, 2, 2, 0, 2]), 3)
VALUES = jnp.asarray([2.0, 3.0, 4.0, 1.0, -1.0, 0.5])  # the last entry is added to another


def dense(values):
    return jnp.zeros((3, 3)).at[PATTERN.rows, PATTERN.columns].add(values)


def test_solves_and_transposed_solves_under_jit():
    b = jnp.asarray([1.0, 2.0, 3.0])
    for transposed in (False, True):
        matrix = dense(VALUES).T if transposed else dense(VALUES)
        found = jax.jit(lambda v, b, t=transposed: sparse_solve(PATTERN, v, b, transposed=t))
        np.testing.assert_allclose(matrix @ found(VALUES, b), b, rtol=1e-14)


def test_batches_of_vectors_and_of_matrices():
    vectors = jax.random.normal(jax.random.key(0), (4, 3))
    found = jax.vmap(lambda b: sparse_solve(PATTERN, VALUES, b))(vectors)
    np.testing.assert_allclose(found @ dense(VALUES).T, vectors, rtol=1e-12)
    scales = jnp.arange(1.0, 5.0)
    several = jax.vmap(lambda s, b: sparse_solve(PATTERN, s * VALUES, b))(scales, vectors)
    np.testing.assert_allclose(several * scales[:, None], found, rtol=1e-12)
    shared = jax.vmap(lambda s: sparse_solve(PATTERN, s * VALUES, vectors[0]))(scales)
    np.testing.assert_allclose(shared * scales[:, None], jnp.tile(found[0], (4, 1)), rtol=1e-12)


def test_a_singular_matrix_gives_no_number():
    zero = jnp.zeros_like(VALUES)
    assert not np.isfinite(sparse_solve(PATTERN, zero, jnp.ones(3))).any()
