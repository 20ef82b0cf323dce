"""The model of what a solve costs."""

import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import gram
from pinn_ngd.spu import Device, DeviceCost


def test_cost_model():
    """Factored arrays of 640 x 1e5, twice, at 16 bits over 50 Gb/s: 41 ms, beside 50 us."""
    elements = 2 * 640 * 100_000
    seconds, joules = DeviceCost().solve(elements, 100_000, 50.0)
    np.testing.assert_allclose(seconds, 16 * (elements + 2e5) / 50e9 + 50e-6, rtol=1e-12)
    assert 0.04 < seconds < 0.042
    slower = DeviceCost(bandwidth=5e9).solve(elements, 100_000, 50.0)
    assert slower[0] > 9 * seconds
    np.testing.assert_allclose(slower[1], joules)
    coarse = Device(bits=4, input_bits=6, read_out_bits=8)
    seconds, _ = DeviceCost().solve(1000, 10, 0.0, coarse)
    np.testing.assert_allclose(seconds, (4 * 1000 + (6 + 8) * 10) / 50e9, rtol=1e-12)
    with pytest.raises(ValueError, match="`bits` is 0"):
        DeviceCost(bits=0)


def test_cost_of_a_solve_with_an_operator(dense):
    """16 bits of 30^2 elements and 2 x 30 voltages at 50 Gb/s, then 20 us of settling."""
    matrix = lx.MatrixLinearOperator(jnp.eye(30), lx.positive_semidefinite_tag)
    seconds, joules = DeviceCost().of(matrix, 20.0)
    np.testing.assert_allclose(seconds, 16 * 960 / 50e9 + 20e-6, rtol=1e-12)
    np.testing.assert_allclose(joules, 16 * 960 * 1e-12 + 900 * 1e-7 * 20e-6, rtol=1e-12)
    device, factored = Device(bits=4), gram(dense(jnp.ones((3, 10))), 0.1)
    found = DeviceCost().of(factored, 20.0, device)
    assert found == DeviceCost().solve(2 * 30 + 10, 10, 20.0, device)
