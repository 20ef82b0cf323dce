"""How the damping of a minibatch natural gradient goes from step to step."""

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd import optimizers
from pinn_ngd.optimizers import LevenbergMarquardt
from tests.optimizers.helpers import flat
from tests.optimizers.minibatch.helpers import blobs, close, network


def test_levenberg_marquardt_follows_the_ratio():
    rule = LevenbergMarquardt(0.1, factor=0.5)
    damping = jnp.asarray(0.1)
    for ratio, wanted in ((1.0, 0.05), (0.5, 0.1), (0.1, 0.2), (-1.0, 0.2), (jnp.nan, 0.2)):
        assert float(rule.update(damping, jnp.asarray(ratio))) == pytest.approx(wanted)
    objective, model = blobs(), network()
    optimizer = optimizers.get(
        "ngd-woodbury", rate=1.0, momentum=0.0, adaption="levenberg-marquardt"
    )
    batch = objective.batch(jax.random.key(3))
    state = optimizer.init(model, objective, batch)
    _, state, info = optimizer.step(model, state, objective, batch, key=jax.random.key(0))
    rows = objective.system(model, batch).operator.as_matrix()
    gradient = flat(objective.gradient(model, batch))
    step = jnp.linalg.solve(rows.T @ rows + jnp.eye(len(gradient)), gradient)
    close(info.predicted, step @ gradient - 0.5 * jnp.sum((rows @ step) ** 2))
    assert float(state.damping) != float(info.damping)
