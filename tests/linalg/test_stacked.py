"""Blocks of units of norms: closed-form eigenvectors, damped solves, refusals."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import Blockwise, UnitWise
from pinn_ngd.linalg.stacked import symmetric_eigen

RNG = np.random.default_rng(0)
ROOTS = RNG.normal(size=(7, 2, 2))
PAIRS = np.concatenate([
    ROOTS @ ROOTS.swapaxes(1, 2),
    [[[2.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
    [[[1e8, 1.0], [1.0, 1e-8]], [[1e-8, -1e-5], [-1e-5, 1.0]]],
])  # fmt: skip


def test_the_closed_form_is_the_eigendecomposition():
    values, vectors = symmetric_eigen(jnp.asarray(PAIRS))
    rebuilt = np.einsum("cuv,cv,cwv->cuw", vectors, values, vectors)
    sizes = np.abs(PAIRS).max((1, 2), keepdims=True)
    assert np.all(np.abs(rebuilt - PAIRS) <= 1e-15 * sizes)
    orthogonal = np.einsum("cuv,cuw->cvw", vectors, vectors)
    np.testing.assert_allclose(orthogonal, np.broadcast_to(np.eye(2), orthogonal.shape), atol=1e-15)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(PAIRS), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("values", [PAIRS[:8], PAIRS[:8, :1, :1]])
def test_units_are_solved_as_their_dense_blocks(values):
    operator = UnitWise(jnp.asarray(values))
    vector = jnp.asarray(RNG.normal(size=values.shape[:2]))

    @jax.jit
    def solved(vector, damping):
        options = {"damping": damping}
        return lx.linear_solve(operator, vector, Blockwise(), options=options).value

    for damping in (1e-6, 0.3):
        found = solved(vector, jnp.asarray(damping))
        shifted = values + damping * np.eye(values.shape[1])
        expected = np.linalg.solve(shifted, np.asarray(vector)[:, :, None])[:, :, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_without_damping_it_is_the_pseudo_inverse():
    operator = UnitWise(jnp.ones((1, 2, 2)))
    found = lx.linear_solve(operator, jnp.ones((1, 2)), Blockwise()).value
    np.testing.assert_allclose(found, [[0.5, 0.5]], rtol=1e-14)


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="give a matrix 1 x 1 or 2 x 2 for every unit"):
        UnitWise(jnp.ones((4, 3, 3)))
