"""The mean of the iterates is what an averaged optimizer answers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ClassificationObjective, Shuffled, optimizers, train
from pinn_ngd.optimizers import Averaged, as_optax
from pinn_ngd.storage import Checkpoint, load_checkpoint, load_model

X = jax.random.normal(jax.random.key(0), (40, 3))
OBJECTIVE = ClassificationObjective(Shuffled(X, (X[:, 0] > 0).astype(int), 8))
MODEL = eqx.nn.Linear(3, 2, key=jax.random.key(1))
PLAIN = optimizers.get("sgd", rate=0.5)
AVERAGED = optimizers.get("sgd", rate=0.5, average=0.6)
KEY = jax.random.key(2)


def run(optimizer, steps, **keywords):
    return train(OBJECTIVE, MODEL, optimizer, steps=steps, key=KEY, stride=1, **keywords)


def test_the_answer_is_the_mean_of_the_iterates():
    mean = MODEL.weight
    for k in range(6):
        iterate = run(PLAIN, k).model.weight
        kept = min(0.6, (1 + k) / (10 + k))
        mean = kept * mean + (1 - kept) * iterate
    seen = []

    def evaluate(model):
        seen.append(model.weight)
        return {"size": 0.0}

    found = run(AVERAGED, 6, evaluate=evaluate, evaluate_every=1)
    np.testing.assert_allclose(found.model.weight, mean, rtol=1e-13)
    np.testing.assert_array_equal(seen[-1], found.model.weight)
    assert len(seen) == 6
    assert [r["loss"] for r in found.history] == [r["loss"] for r in run(PLAIN, 6).history]


def test_a_failed_run_answers_with_finite_iterates_only():
    wild = optimizers.get("sgd", rate=1.7e308, average=0.95)
    failed = run(wild, 50)
    assert failed.status == "failed"
    assert jnp.isfinite(OBJECTIVE.loss(failed.model, OBJECTIVE.batch()))


def test_a_checkpoint_holds_the_answer_and_the_iterate(tmp_path):
    path = tmp_path / "c"
    found = run(AVERAGED, 5, checkpoint=Checkpoint(path))
    np.testing.assert_array_equal(load_model(path, like=MODEL).weight, found.model.weight)
    snapshot = load_checkpoint(path, like=(MODEL, found.state))
    np.testing.assert_array_equal(snapshot.model.weight, run(PLAIN, 5).model.weight)


def test_chains_of_optax_have_no_place_for_a_mean():
    with pytest.raises(ValueError, match=r"`optimizer` returns another model.*optax\.ema"):
        as_optax(AVERAGED, OBJECTIVE)


def test_a_resumed_run_has_the_mean_of_the_uncut_one(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c", every_seconds=0.0)
    run(AVERAGED, 3, checkpoint=checkpoint)
    resumed = run(AVERAGED, 6, checkpoint=checkpoint, resume=True)
    np.testing.assert_array_equal(resumed.model.weight, run(AVERAGED, 6).model.weight)


def test_only_optimizers_of_minibatches_average():
    assert isinstance(AVERAGED, Averaged)
    assert optimizers.settings("tngd")["average"] == 0.0
    with pytest.raises(ValueError, match="no setting average"):
        optimizers.get("engd-tr", average=0.9)
    with pytest.raises(ValueError, match=r"`average` is 1\.0"):
        optimizers.get("sgd", average=1.0)


def test_single_precision_stays_single():
    model = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), MODEL)
    objective = ClassificationObjective(
        Shuffled(X.astype(jnp.float32), OBJECTIVE.batches.targets, 8)
    )
    result = train(objective, model, AVERAGED, steps=2, key=KEY)
    assert result.model.weight.dtype == jnp.float32
