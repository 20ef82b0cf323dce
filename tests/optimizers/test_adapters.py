"""Transformations of Optax in our training loop."""

import equinox as eqx
import jax
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from pinn_ngd.optimizers import OptaxOptimizer
from tests.optimizers.helpers import flat, network, poisson_1d, run


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
