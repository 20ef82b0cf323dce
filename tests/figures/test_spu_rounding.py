"""Rounded devices: what an ensemble and what refinement can do."""

import jax
import jax.numpy as jnp
import numpy as np

from figures.spu_rounding import rounded, rounding_errors


def test_rounding_is_symmetric_and_right_on_average():
    matrix = jax.random.normal(jax.random.key(0), (6, 6))
    matrix = matrix + matrix.T
    drawn = jax.vmap(lambda key: rounded(matrix, 4, key))(jax.random.split(jax.random.key(1), 4000))
    step = float(jnp.max(jnp.abs(matrix))) / 7
    np.testing.assert_allclose(drawn / step, jnp.round(drawn / step), atol=1e-9)
    np.testing.assert_array_equal(drawn, jnp.swapaxes(drawn, 1, 2))
    error = jnp.mean(drawn, axis=0) - matrix
    assert jnp.all(jnp.abs(error) < 5 * step / 2 / 4000**0.5)  # a die's deviation is step/2 at most


def test_refinement_contracts_and_ensembles_only_average():
    found = rounding_errors(12, 16, size=30)
    (_, ensemble), (_, refined) = found["ensemble"], found["refinement"]
    assert ensemble[0] == refined[0]  # one solve is one solve
    rates = np.divide(refined[1:4], refined[:3])
    assert rates.max() < 0.1
    assert refined[-1] < 1e-14
    assert 0.1 < ensemble[-1] / ensemble[0] < 0.7  # about 1/4 of sixteen
