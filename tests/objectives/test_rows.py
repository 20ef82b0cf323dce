"""Functions of points in chunks: their values, and what a gradient through them keeps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.objectives.rows import map_points

WEIGHTS = jnp.linspace(0.1, 1.0, 300)


def loss(weights, points, chunk_size):
    values = map_points(lambda x: jnp.sum(jnp.tanh(weights * x)), points, chunk_size)
    return 0.5 * jnp.sum(values**2)


@pytest.mark.parametrize("chunk_size", [8, 7, 50])
def test_values_and_gradients_are_those_of_all_points_at_once(chunk_size):
    points = jnp.linspace(0.0, 2.0, 30)
    whole, chunked = (
        jax.value_and_grad(loss)(WEIGHTS, points, size) for size in (None, chunk_size)
    )
    for mine, theirs in zip(chunked, whole, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_a_gradient_keeps_one_chunk():
    """Of 64 chunks, all of which together have 300 numbers a point."""
    gradient = eqx.filter_jit(jax.grad(lambda w, x: loss(w, x, 64)))
    lowered = gradient.lower(WEIGHTS, jnp.linspace(0.0, 2.0, 4096))
    analysis = lowered.compile().compiled.memory_analysis()
    assert analysis.temp_size_in_bytes < 4096 * WEIGHTS.nbytes / 20
