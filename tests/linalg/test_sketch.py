"""Hutchinson's estimate: unbiased, better with more samples, exact gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import JacobianRows, LeastSquaresSystem, Spectral, sketch, solve

ROWS, COLUMNS = 300, 4
MATRIX = jax.random.normal(jax.random.key(0), (ROWS, COLUMNS)) * jnp.asarray([1.0, 0.5, 0.2, 0.05])
TARGET = jax.random.normal(jax.random.key(1), (ROWS,))


def system():
    structures = (jax.ShapeDtypeStruct((n,), jnp.float64) for n in (COLUMNS, ROWS))
    return LeastSquaresSystem(JacobianRows(MATRIX, *structures), target=TARGET)


def test_the_estimate_is_unbiased():
    def estimate(key):
        matrix = sketch(system(), 8, key).operator.as_matrix()
        return matrix.T @ matrix

    found = jax.vmap(estimate)(jax.random.split(jax.random.key(2), 2000))
    error = jnp.mean(found, axis=0) - MATRIX.T @ MATRIX
    assert jnp.all(jnp.abs(error) < 4.5 * jnp.std(found, axis=0) / 2000**0.5)


@pytest.mark.slow
def test_directions_approach_the_exact_one():
    exact = solve(system(), Spectral()).value

    def cosine(rows):
        def one(key):
            found = solve(sketch(system(), rows, key), Spectral()).value
            return found @ exact / jnp.linalg.norm(found) / jnp.linalg.norm(exact)

        return float(jnp.mean(jax.vmap(one)(jax.random.split(jax.random.key(3), 40))))

    few, some, many = cosine(6), cosine(30), cosine(300)
    assert few < some < many
    assert some > 0.9  # at a tenth of the rows
    assert many > 0.99


def test_the_gradient_is_exact():
    np.testing.assert_allclose(
        sketch(system(), 2, jax.random.key(4)).gradient, MATRIX.T @ TARGET, rtol=1e-12
    )


def test_a_sketch_needs_rows():
    with pytest.raises(ValueError, match="`rows`"):
        sketch(system(), 0, jax.random.key(0))
