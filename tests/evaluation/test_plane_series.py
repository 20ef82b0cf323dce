"""References of two variables, and the flow that is shipped."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from pinn_ngd import load_problem
from pinn_ngd.evaluation import PlaneSeries, shipped_reference


def test_a_series_is_what_numpy_says():
    coefficients = np.random.default_rng(0).normal(size=(2, 5, 4))
    series, x = PlaneSeries(jnp.asarray(coefficients), 0.0), np.array([0.3, 0.8])
    expected = [chebyshev.chebval2d(*(2 * x - 1), c) for c in coefficients]
    np.testing.assert_allclose(series(jnp.asarray(x)), expected, rtol=1e-13)


def test_the_flow_keeps_to_its_walls_and_balances_its_forces():
    """The equations at points away from the corners, where the reference is at its best."""
    flow, objective = shipped_reference("cavity"), load_problem("cavity").objective
    assert isinstance(flow, PlaneSeries)
    assert flow.accuracy < 1e-6
    t = jnp.asarray([0.0, 0.1, 0.25, 0.5, 0.8, 1.0])
    one = jnp.ones_like(t)
    along = jax.jit(jax.vmap(flow))
    walls = [(t, 0 * t), (t, one), (0 * t, t), (one, t)]
    velocities = np.stack([along(jnp.stack(wall, axis=1))[:, :2] for wall in walls])
    expected = np.zeros_like(velocities)
    expected[1, :, 0] = 16 * t**2 * (1 - t) ** 2
    np.testing.assert_allclose(velocities, expected, atol=1e-6)
    inside = jnp.asarray([[0.3, 0.4], [0.5, 0.5], [0.6, 0.7], [0.4, 0.8]])
    parts = jax.jit(jax.vmap(lambda x: objective.terms[0].fn(flow, x)))(inside)
    assert float(jnp.max(jnp.abs(parts["mass"]))) < 1e-6
    assert float(jnp.max(jnp.abs(parts["momentum"]))) < 1e-5
