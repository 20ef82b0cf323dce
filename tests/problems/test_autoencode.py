"""K-FAC and EKFAC on the shipped problems of digits."""

import jax
import pytest

from pinn_ngd import load_problem, optimizers, train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["kfac", "ekfac"])
def test_the_autoencoder_learns_in_a_few_steps(name):
    pytest.importorskip("sklearn")
    problem = load_problem("autoencode-digits")
    model, optimizer = problem.model(jax.random.key(0)), optimizers.get(name)
    scores = problem.evaluator()
    assert scores(model)["test_mse"] > 0.2
    result = train(problem.objective, model, optimizer, steps=30, key=0, evaluate=scores)
    assert result.measures["test_mse"] < 0.032  # the mean picture has 0.073


def test_digits_are_classified():
    pytest.importorskip("sklearn")
    problem = load_problem("classify-digits", steps=100)
    optimizer = optimizers.get("kfac", **problem.optimizer_settings)
    result = train(
        problem.objective, problem.model(jax.random.key(0)), optimizer, steps=100, key=0,
        evaluate=problem.evaluator(),
    )  # fmt: skip
    assert result.measures["test_accuracy"] > 0.93
