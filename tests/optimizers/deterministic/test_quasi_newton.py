"""BFGS and L-BFGS."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinn_ngd import optimizers
from pinn_ngd.optimizers import bfgs, scale_by_bfgs
from tests.optimizers.helpers import network, poisson_1d, run


@pytest.mark.parametrize("name", ["bfgs", "lbfgs"])
def test_quasi_newton_baselines_lower_the_loss(name):
    objective, model = poisson_1d(), network()
    start = float(objective.loss(model, objective.batch()))
    _, info = run(optimizers.get(name), model, objective, 30)
    assert float(info.loss) < 1e-2 * start


def test_bfgs_minimizes_a_badly_scaled_quadratic():
    matrix = jnp.diag(jnp.asarray([1.0, 10.0, 100.0]))
    tx = bfgs()
    x = jnp.ones(3)
    state = tx.init(x)

    def value(x):
        return 0.5 * x @ matrix @ x

    @jax.jit
    def step(x, state):
        v, g = jax.value_and_grad(value)(x)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = tx.update(g, state, x, value=v, grad=g, value_fn=value)
        return optax.apply_updates(x, updates), state

    for _ in range(25):  # no finite termination: Wolfe steps are not exact minimizations
        x, state = step(x, state)
    assert float(value(x)) < 1e-12


def test_bfgs_satisfies_the_secant_equation():
    tx = scale_by_bfgs()
    x = jnp.arange(1.0, 5.0)
    matrix = jnp.diag(jnp.array([1.0, 3.0, 10.0, 40.0]))
    state = tx.init(x)
    for n in range(3):
        _, state = tx.update(matrix @ x, state, x)
        moved = x + 0.1 * jnp.cos(jnp.arange(4.0) + n)
        _, after = tx.update(matrix @ moved, state, moved)
        np.testing.assert_allclose(after.inverse @ (matrix @ (moved - x)), moved - x, rtol=1e-12)
        np.testing.assert_allclose(after.inverse, after.inverse.T, rtol=1e-12)
        assert jnp.linalg.eigvalsh(after.inverse).min() > 0
        x, state = moved, after
