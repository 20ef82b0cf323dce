"""Steps in processor time: which are counted, and what is read after them."""

import time
from itertools import islice
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.large_batch import first_at
from figures.recipes.processor_time import errors_by_time, iterates
from pinn_ngd import ClassificationObjective, optimizers
from pinn_ngd.models import MLP
from pinn_ngd.objectives import Batch, Generated, Shuffled

RATE = 0.1
RNG = np.random.default_rng(0)
BATCHES = [
    Batch(jnp.asarray(RNG.normal(size=(8, 2))), jnp.asarray(RNG.normal(size=(8, 1))))
    for _ in range(4)
]
OBJECTIVE = ClassificationObjective(Generated(lambda key: (key, key)), loss="squared")
SGD = optimizers.get("sgd", rate=RATE, momentum=0.0)


def start():
    return MLP((2, 1), key=jax.random.key(0), init="glorot")


def test_every_step_has_its_own_batch_and_batches_cost_nothing():
    drawn = []

    def draw(number):
        drawn.append(number)
        begun = time.process_time()
        while time.process_time() - begun < 0.05:
            pass
        return BATCHES[number]

    found = list(islice(iterates(OBJECTIVE, SGD, start(), draw, jax.random.key(0)), 3))
    assert [now.steps for now in found] == [1, 2, 3]
    assert drawn == [0, 0, 1, 2]
    assert 0 < found[0].seconds < found[1].seconds < found[2].seconds < 0.05
    weight, bias = (np.asarray(x) for x in (start().layers[0].weight, start().layers[0].bias))
    for now, batch in zip(found, BATCHES, strict=False):
        difference = batch.inputs @ weight.T + bias - batch.targets
        weight = weight - RATE * difference.T @ batch.inputs / 8
        bias = bias - RATE * difference.mean(0)
        np.testing.assert_allclose(now.model.layers[0].weight, weight, rtol=1e-12)
        np.testing.assert_allclose(now.model.layers[0].bias, bias, rtol=1e-12)


def test_errors_are_read_after_the_first_step_past_a_mark():
    problem = SimpleNamespace(
        objective=ClassificationObjective(
            Shuffled(BATCHES[0].inputs, BATCHES[0].targets), loss="squared"
        ),
        errors=lambda: lambda model: {"relative_l2": np.sum(model.layers[0].weight)},
        model=lambda _: start(),
    )  # fmt: skip
    first, same, later = errors_by_time(problem, SGD, (0.0, 0.0, 0.02), 0)
    assert first == same
    assert first.steps == 1
    assert later.seconds >= 0.02
    assert later.steps > 1
    after_one = start().layers[0].weight
    assert first.error != pytest.approx(float(np.sum(after_one)))


def test_the_place_where_a_target_is_reached():
    errors = np.array([[0.9, 0.04, 0.2, 0.01], [0.9, 0.5, 0.4, 0.3], [0.05, 0.9, 0.9, 0.9]])
    np.testing.assert_array_equal(first_at(errors, 0.05), [1, np.inf, 0])
