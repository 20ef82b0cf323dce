"""Directions of one minibatch."""

import itertools

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd.optimizers import ConjugateGradients
from tests.optimizers.helpers import flat
from tests.optimizers.minibatch.helpers import RATE, damped_system, dense, move


@pytest.mark.slow
def test_conjugate_gradients_start_where_they_stopped():
    natural = dense(1e-3)[1]
    short = dict(iterations=4, rate=RATE, momentum=0.0, damping=1e-3)
    system = damped_system(1e-3)
    direction, state = ConjugateGradients(4), None
    errors, state = [], direction.init(system)
    for _ in range(4):
        found, state = direction(system, state, jax.random.key(0))
        errors.append(float(jnp.linalg.norm(flat(found) - natural)))
    assert all(b < a for a, b in itertools.pairwise(errors))
    assert float(jnp.linalg.norm(move("ngd-cg", **short))) > 0
