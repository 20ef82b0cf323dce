"""Both directions of the border to Optax, and the baselines behind it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import optimizers
from pinn_ngd.optimizers import OptaxOptimizer, as_optax, bfgs
from pinn_ngd.optimizers.bfgs import scale_by_bfgs
from tests.optimizers.helpers import network, poisson_1d


def run(optimizer, model, objective, steps):
    batch = objective.batch()
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step) if optimizer.jittable else optimizer.step
    for _ in range(steps):
        model, state, info = step(model, state, objective, batch, key=jax.random.key(0))
    return model, info


def flat(model):
    return ravel_pytree(eqx.filter(model, eqx.is_inexact_array))[0]


def test_adam_equals_a_plain_optax_loop():
    objective, model = poisson_1d(), network()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    tx = optax.adam(1e-2)
    state = tx.init(params)
    for _ in range(3):
        grads = jax.grad(lambda q: objective.loss(eqx.combine(q, static), objective.batch()))(
            params
        )
        with jax.numpy_dtype_promotion("standard"):
            updates, state = tx.update(grads, state)
        params = optax.apply_updates(params, updates)
    ours, _ = run(OptaxOptimizer(tx), model, objective, 3)
    np.testing.assert_allclose(flat(ours), ravel_pytree(params)[0], rtol=1e-12)


def test_as_optax_takes_the_same_step():
    objective, model = poisson_1d(), network()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    inner = optimizers.get("engd-tr")
    tx = optax.chain(as_optax(inner, objective, static=static), optax.scale(1.0))
    updates, _ = jax.jit(lambda p: tx.update(p, tx.init(p), p))(params)
    expected, _ = run(inner, model, objective, 1)
    np.testing.assert_allclose(
        flat(eqx.apply_updates(model, updates)), flat(expected), rtol=1e-9, atol=1e-12
    )


def test_as_optax_needs_params():
    tx = as_optax(optimizers.get("engd-tr"), poisson_1d())
    with pytest.raises(ValueError, match="`params` is required"):
        tx.update(None, tx.init(network()))


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


def test_scipy_lm_lowers_the_loss_and_explains_too_few_rows():
    objective = poisson_1d(24)
    start = float(objective.loss(network(), objective.batch()))
    _, info = run(optimizers.get("scipy-lm", evaluations=20), network(), objective, 1)
    assert float(info.loss) < 1e-2 * start
    with pytest.raises(ValueError, match="at least as many rows"):
        run(optimizers.get("scipy-lm"), network(40), poisson_1d(4), 1)
