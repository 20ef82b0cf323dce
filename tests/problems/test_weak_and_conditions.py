"""The accuracy that weak forms, jumps and fluxes on the boundary reach in a few steps."""

import jax
import pytest

import pinn_ngd


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "steps", "bound"),
    [
        ("multiscale-weak", {}, 50, 1e-6),
        ("diffusion-jump", {"weak": True}, 25, 1e-3),
        ("helmholtz-neumann", {}, 25, 1e-5),
    ],
)
def test_accuracy(name, settings, steps, bound):
    problem = pinn_ngd.load_problem(name, **settings)
    model = problem.model(jax.random.key(100))
    result = pinn_ngd.train(problem.objective, model, "engd-tr", steps=steps, key=100, grow=False)
    error = problem.evaluator()(result.model)["relative_l2"]
    assert error < bound
    if result.estimate.reliable:
        assert 0.5 * error < result.estimate.relative_l2 < 2 * error


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("multiscale-weak", {"periods": 2, "width": 4}),
        ("diffusion-jump", {"weak": True, "width": 4, "points": 4, "degree": 2}),
    ],
)
def test_residual_of_the_exact_solution_is_small(name, settings):
    """Weak residuals see the exact solution as one, but for the quadrature of these few points."""
    problem = pinn_ngd.load_problem(name, **settings)
    exact = problem.exact

    class Exact:
        inside = outside = staticmethod(exact)

        def __call__(self, x):
            return exact(x)

    objective = problem.objective
    zero = problem.model(jax.random.key(0))
    batch = objective.batch()
    found = [float(jax.jit(lambda m=m: objective.loss(m, batch))()) for m in (Exact(), zero)]
    assert found[0] < 1e-3 * found[1]
