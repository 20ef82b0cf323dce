"""Classification problems from the command line's point of view."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications.classification import classification_problem
from pinn_ngd.applications.data import Split
from pinn_ngd.applications.pictures import plot_confusion
from pinn_ngd.experiments import compare_optimizers, run_problem
from pinn_ngd.storage.reading import read_history


def blobs(outputs=3, **settings):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = rng.standard_normal((60, 4)) + 2.5 * np.eye(4)[labels]
    data = Split(x[:40], labels[:40], x[40:], labels[40:])

    def model(key, dtype):
        return eqx.nn.MLP(4, outputs, 5, 1, activation=jnp.tanh, key=key, dtype=dtype)

    return classification_problem(
        "blobs", "three clouds", data, model, batch_size=8, steps=30, **settings
    )


@pytest.mark.slow
def test_a_run_leaves_accuracy_in_result_history_and_pictures(tmp_path):
    result = run_problem(blobs(), out=tmp_path, seed=1)
    assert result["test_accuracy"] > 0.8
    assert result["test_error"] == pytest.approx(1 - result["test_accuracy"])
    assert {"test_nll", "test_ece"} <= set(json.loads((tmp_path / "result.json").read_text()))
    history = read_history(tmp_path)
    assert len(history) == 30
    assert history[-1]["test_accuracy"] == pytest.approx(result["test_accuracy"])
    assert {p.name for p in tmp_path.glob("*.png")} == {"history.png", "solution.png"}


@pytest.mark.slow
def test_a_resumed_run_repeats_the_uncut_one(tmp_path):
    run_problem(blobs(), steps=10, out=tmp_path / "cut", pictures=False)
    cut = run_problem(blobs(), steps=20, out=tmp_path / "cut", resume=True, pictures=False)
    whole = run_problem(blobs(), steps=20, out=tmp_path / "whole", pictures=False)
    assert cut["loss"] == whole["loss"]
    assert cut["test_nll"] == whole["test_nll"]


@pytest.mark.slow
def test_optimizers_are_compared_by_their_test_error(tmp_path):
    summary = compare_optimizers(
        blobs(), ["ngd-woodbury", "sgd"], seeds=[0, 1], out=tmp_path, steps=20
    )
    assert summary["measure"] == "test error"
    assert summary["rows"][0]["errors"] == [
        run["test_error"] for run in summary["runs"] if run["optimizer"] == "ngd-woodbury"
    ]


def test_labels_without_an_output_are_refused():
    with pytest.raises(ValueError, match="from 0 to 2, but the model has 2 outputs"):
        blobs(outputs=2)
    with pytest.raises(ValueError, match="`curvature` is 'exact'"):
        blobs(curvature="exact")


def test_pictures_of_signals_and_of_perfect_classifiers():
    labels = np.arange(6) % 2
    logits = np.stack([1.0 - labels, labels], axis=1)
    plot_confusion(logits, labels, np.ones((6, 9)))
    plot_confusion(-logits, labels, np.ones((6, 1, 3, 3)))


def test_every_kind_of_network_trains_in_single_precision_under_double():
    problem = blobs()
    model = problem.model(jax.random.key(0))
    assert model.layers[0].weight.dtype == jnp.float32
    system = problem.objective.system(model, problem.objective.batch(jax.random.key(0)))
    assert system.operator.kernel_matrix().dtype == jnp.float32
