"""The accuracy of the problems on exponential families, against what an efficient estimate has."""

import jax
import numpy as np
import pytest

from pinn_ngd import load_problem, optimizers, train


def divergence(name, optimizer=None, settings=None, **arguments):
    """KL from the truth after the run of a problem, with its own optimizer by default."""
    problem = load_problem(name, **arguments)
    result = train(
        problem.objective,
        problem.model(jax.random.key(0)),
        optimizers.get(
            optimizer or problem.optimizer,
            **(dict(problem.optimizer_settings) if settings is None else settings),
        ),
        steps=problem.steps,
        key=0,
        evaluate=problem.evaluator(),
        evaluate_every=10_000,
    )
    return result.measures["divergence"]


def test_one_pass_over_the_throws_of_a_die_is_nearly_efficient():
    faces, throws = 12, 3000
    found = divergence("die", faces=faces, throws=throws, batch_size=20)
    assert found < 4 * (faces - 1) / (2 * throws)


@pytest.mark.slow
def test_logistic_regression_is_within_a_factor_of_two_of_efficiency():
    """And plain descent, with two pairs of rates near the best of the authors' grid, three times
    above."""
    steps, batch = 1000, 250
    efficient = 9 * (1 + 9 + 4) / (2 * steps * batch)
    assert divergence("mlr", steps=steps) < 2 * efficient
    descents = [
        divergence(
            "mlr", "sgd", {"rate": rate, "momentum": 0.0, "schedule": "inverse", "decay_steps": s},
            steps=steps,
        )
        for rate, s in ((2.5, 100), (25.0, 10))
    ]  # fmt: skip
    assert min(descents) > 3 * efficient


@pytest.mark.slow
def test_gaussian_features_are_within_a_factor_of_five_of_efficiency():
    steps, batch = 1000, 250
    assert divergence("mlr-gaussian", steps=steps) < 5 * 20 / (steps * batch)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("mlr", {"manifold": 4}, "`manifold` is 4; choose one of 1, 2, 3"),
        ("die", {"faces": 1}, "`outcomes` is 1"),
        ("die", {"batch_size": 0}, "`size` of a batch is 0"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_problem(name, **arguments)


def test_truths_are_those_of_their_seeds():
    first, second = (load_problem("mlr", seed=seed) for seed in (0, 1))
    model = first.model(jax.random.key(0))
    values = [p.evaluator()(model)["divergence"] for p in (first, second)]
    assert not np.isclose(*values, rtol=1e-3)
