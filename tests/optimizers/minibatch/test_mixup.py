"""Running mixup: means of batches, which targets are labels, and what cannot be mixed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.objectives import ClassificationObjective, Shuffled, SquaredError
from pinn_ngd.optimizers.minibatch.mixup import Mixture, check_targets, mixed, soft


class Own(SquaredError.__base__):
    """A loss of which nobody knows what its targets mean."""

    value = gradient = factor = target = sample = None


def objective(targets, loss="softmax"):
    return ClassificationObjective(Shuffled(np.ones((len(targets), 2)), targets), loss=loss)


@pytest.mark.slow
def test_running_mixup_mixes_with_the_last_mixture():
    new, old = Mixture(jnp.ones((2, 3)), jnp.eye(2)), Mixture(jnp.zeros((2, 3)), 1 - jnp.eye(2))
    key = jax.random.key(0)
    first = mixed(new, old, jnp.int32(0), 0.4, key)
    np.testing.assert_array_equal(first.inputs, new.inputs)
    later = mixed(new, old, jnp.int32(1), 0.4, key)
    weight = float(later.inputs[0, 0])
    assert 0 < weight < 1
    np.testing.assert_allclose(later.targets, weight * new.targets + (1 - weight) * old.targets)
    draws = jax.vmap(lambda k: mixed(new, old, jnp.int32(1), 0.4, k).inputs[0, 0])(
        jax.random.split(key, 4000)
    )
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
    np.testing.assert_allclose(jnp.mean(draws), 0.5, atol=0.03)
    np.testing.assert_allclose(jnp.var(draws), 1 / (4 * 1.8), rtol=0.05)


@pytest.mark.parametrize(
    ("loss", "targets", "expected"),
    [
        ("softmax", [2, 0], [[0, 0, 1], [1, 0, 0]]),
        ("softmax", [[0, 0, 1], [0, 1, 0]], [[0, 0, 1], [0, 1, 0]]),
        ("softmax", [[0.5, 0.0, 0.5]], [[0.5, 0, 0.5]]),
        ("binary", [[1, 0, 1]], [[1, 0, 1]]),
        ("squared", [[3, 0, -2]], [[3, 0, -2]]),
        (Own(), [[0.5, 1.5]], [[0.5, 1.5]]),
    ],
)
def test_only_labels_of_the_softmax_loss_become_rows(loss, targets, expected):
    data = objective(np.asarray(targets), loss)
    check_targets(data, data.batch())
    found = soft(data, data.batch(), 3, jnp.dtype(jnp.float64)).targets
    assert found.dtype == jnp.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("loss", "targets", "words"),
    [
        ("squared", np.ones((4, 1), complex), "mixes real targets, and these are complex128"),
        (Own(), np.arange(4), "targets of type int64 of the loss Own are labels or numbers"),
    ],
)
def test_targets_without_a_mean_are_refused(loss, targets, words):
    model = eqx.nn.Linear(2, 2, key=jax.random.key(0))
    data = objective(targets, loss)
    with pytest.raises(ValueError, match=words):
        optimizers.get("sp-ngd", mixup=0.4).init(model, data, data.batch())


def test_tokens_are_not_mixed():
    data = Shuffled(np.arange(8)[:, None] % 3, np.arange(8) % 2)
    objective = ClassificationObjective(data)
    table = eqx.nn.Embedding(3, 2, key=jax.random.key(0))
    model = eqx.nn.Sequential([eqx.nn.Lambda(lambda x: x[0]), table])
    with pytest.raises(ValueError, match="`mixup` mixes the inputs of examples, and these are int"):
        optimizers.get("sp-ngd", mixup=0.4).init(model, objective, objective.batch())
