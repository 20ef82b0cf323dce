import jax
import pytest

import pinn_ngd


def error_of(name, steps, **settings):
    problem = pinn_ngd.load_problem(name, **settings)
    key = jax.random.key(100)
    result = pinn_ngd.train(problem.objective, problem.model(key), "engd-tr", steps=steps, key=key)
    measures = problem.evaluator()
    return measures(result.model)["relative_l2"], result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "steps", "bound"),
    [
        ("multiscale-weak", {}, 60, 1e-7),
        ("diffusion-jump", {}, 40, 1e-6),
        ("diffusion-jump", {"weak": True}, 40, 1e-6),
        ("helmholtz-neumann", {}, 40, 1e-6),
    ],
)
def test_accuracy(name, settings, steps, bound):
    error, result = error_of(name, steps, **settings)
    assert error < bound
    assert result.estimate.reliable
    assert 0.5 * error < result.estimate.relative_l2 < 2 * error
