"""Variational natural gradients: what a refused step leaves behind."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinn_ngd import Shuffled
from pinn_ngd.applications import gp
from pinn_ngd.objectives import Batch
from pinn_ngd.optimizers import VariationalNaturalGradient

X = np.asarray([[-1.0], [0.0], [2.0]])
Y = np.asarray([0.5, -0.2, 1.0])


def test_a_step_without_a_gradient_leaves_no_moments():
    """One batch of targets that are no numbers: Adam goes on from the state before."""
    objective = gp.EvidenceLowerBound(Shuffled(X, Y))
    optimizer = VariationalNaturalGradient(optax.adam(0.1), 0.5)
    model = gp.GPModel(gp.SVGP(gp.RBF(), X[:2]), gp.GaussianNoise(0.2))
    batch = objective.batch()

    @eqx.filter_jit
    def step(model, state, batch):
        return optimizer.step(model, state, objective, batch, key=jax.random.key(0))

    model, state, _ = step(model, optimizer.init(model, objective, batch), batch)
    broken = Batch(batch.inputs, jnp.full_like(batch.targets, jnp.nan), batch.key)
    same, after, told = step(model, state, broken)
    assert not told.accepted
    for a, b in zip(
        jax.tree.leaves((same, after.transformation)),
        jax.tree.leaves((model, state.transformation)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    _, _, told = step(same, after, batch)
    assert told.accepted
    assert told.step_length > 0
