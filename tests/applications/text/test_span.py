"""The loss of a span: derivatives, factor, samples, and its system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications.encoders import EncoderConfig, SpanFinder, add_adapters, random_encoder
from pinn_ngd.applications.text import SpanCrossEntropy
from pinn_ngd.objectives import ClassificationObjective, Shuffled

LOSS = SpanCrossEntropy()
Z = jnp.asarray([0.3, -1.0, 0.2, 0.9, -0.4, 0.1])
Y = jnp.asarray([2, 0])


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-12)


def test_value_is_the_sum_of_two_choices():
    first, last = jax.nn.log_softmax(Z[:3]), jax.nn.log_softmax(Z[3:])
    close(LOSS.value(Z, Y), -first[2] - last[0])


@pytest.mark.slow
def test_gradient_factor_and_target_belong_to_the_value():
    close(LOSS.gradient(Z, Y), jax.grad(LOSS.value)(Z, Y))
    factor = LOSS.factor(Z)
    close(factor @ factor.T, jax.hessian(LOSS.value)(Z, Y))
    close(factor @ LOSS.target(Z, Y), LOSS.gradient(Z, Y))
    assert not np.any(factor[:3, 3:])
    assert not np.any(factor[3:, :3])


def test_samples_follow_both_choices(key):
    drawn = jax.vmap(LOSS.sample, in_axes=(0, None))(jax.random.split(key, 20_000), Z)
    shares = jnp.stack([jnp.mean(drawn == s, axis=0) for s in range(3)], axis=1)
    np.testing.assert_allclose(shares, jax.nn.softmax(Z.reshape(2, 3)), atol=0.02)


def test_targets_are_checked():
    with pytest.raises(ValueError, match="a span needs two numbers an example"):
        LOSS.check(jnp.zeros((4, 3), int), 6)
    with pytest.raises(ValueError, match="run from 0 to 3, but the model has 3 outputs"):
        LOSS.check(jnp.asarray([[0, 3]]), 6)


@pytest.mark.slow
@pytest.mark.parametrize("curvature", ["ggn", "mc-fisher"])
def test_the_system_of_adapters_has_the_gradient_and_the_matrix_of_its_products(key, curvature):
    config = EncoderConfig(vocabulary=20, positions=6, width=8, heads=2, hidden=10, layers=1)
    model = SpanFinder(add_adapters(random_encoder(config, key=key), key=key), key=key)
    ids = np.array([[2, 7, 11, 3], [2, 9, 3, 0], [2, 5, 6, 3]])
    batches = Shuffled(ids, np.array([[1, 2], [1, 1], [2, 2]]))
    objective = ClassificationObjective(batches, loss=LOSS, curvature=curvature)
    batch = objective.batch(key)
    stored = objective.system(model, batch)
    free = objective.system(model, batch, matrix_free=True)
    assert stored.operator.out_structure().shape == (3, 8 if curvature == "ggn" else 1)
    vector = objective.gradient(model, batch)
    close(stored.operator.mv(vector), free.operator.mv(vector))
    if curvature == "ggn":
        found = stored.operator.T.mv(stored.target)
        jax.tree.map(close, found, vector)
