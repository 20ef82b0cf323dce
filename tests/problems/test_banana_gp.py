"""Two classes by a sparse Gaussian process, from the command line's point of view."""

import json

import numpy as np
import pytest

from pinn_ngd import load_problem
from pinn_ngd.experiments import run_problem
from tests.pictures import is_drawn


def _scores_of_the_truth():
    """Accuracy and NLPD of the true probabilities for the 400 test labels of seed 123."""
    rng = np.random.default_rng(123)
    x = rng.uniform(-3, 3, size=(2000, 2))
    probability = 1 / (1 + np.exp(-3 * (x[:, 1] - 0.7 * x[:, 0] ** 2 + 1.5)))
    ones = rng.uniform(size=2000) < probability
    right = np.where(ones, probability, 1 - probability)[1600:]
    return np.mean(right > 0.5), -np.mean(np.log(right))


@pytest.mark.slow
def test_a_run_predicts_almost_as_well_as_the_true_probabilities(tmp_path):
    result = run_problem(load_problem("banana-gp"), out=tmp_path, seed=123, steps=150)
    accuracy, nlpd = _scores_of_the_truth()
    assert result["test_accuracy"] > accuracy - 0.01
    assert nlpd < result["test_nlpd"] < nlpd + 0.03
    assert {"elbo", "test_nlpd"} <= set(json.loads((tmp_path / "result.json").read_text()))
    assert is_drawn(tmp_path / "solution.png")
