"""Our optimizers and directions as links of an Optax chain."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

from pinn_ngd import optimizers
from pinn_ngd.optimizers import Filtered, as_optax, clipped
from tests.optimizers.helpers import flat, network, poisson_1d, run
from tests.optimizers.minibatch.helpers import RATE, blobs, close, move
from tests.optimizers.minibatch.helpers import network as classifier


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


def test_as_an_optax_transformation():
    objective, model = blobs(), classifier()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optimizers.get("tngd", time=3.0, rate=RATE, momentum=0.0)
    transformation = optimizers.as_optax(optimizer, objective, static=static)
    batch = objective.batch(jax.random.key(3))
    updates, _ = transformation.update(params, transformation.init(params), params, batch=batch)
    close(flat(updates), move("tngd", time=3.0, rate=RATE, momentum=0.0))


def test_the_direction_as_a_link_of_an_optax_chain():
    objective, model = blobs(), classifier()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    chain = optax.chain(
        optimizers.scale_by_natural_gradient(
            objective, Filtered(clipped), damping=0.7, static=static
        ),
        optax.scale(-RATE),
    )
    batch = objective.batch(jax.random.key(3))
    updates, _ = chain.update(params, chain.init(params), params, batch=batch)
    close(flat(updates), move("spectral-clipping", rate=RATE, momentum=0.0, damping=0.7))
    with pytest.raises(ValueError, match="`params` is required"):
        chain.update(params, chain.init(params))
