"""State metrics on the PINN for which they were proposed."""

import jax
import pytest

from pinn_ngd import load_problem, optimizers, train
from pinn_ngd.experiments import state_metrics

METRICS = {
    "poisson-state-metrics": (
        "l2",
        "h1",
        "h1-homogeneous",
        "h2",
        "h-1",
        "fisher-rao",
        "wasserstein",
    ),
    "heat-state-metrics": ("l2", "h1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(METRICS))
def test_every_natural_gradient_is_below_descent_at_equal_iterations(name, monkeypatch):
    """Small network, few points, a coarse grid for the state."""
    monkeypatch.setattr(state_metrics, "POINTS", {2: 16})
    problem = load_problem(name, widths=(8, 12, 8), points=14)
    model, losses = problem.model(jax.random.key(0)), {}
    runs = {"gd": ("gd", {})} | {
        m: ("wngd", {"metric": m, "solver": "cholesky"}) for m in METRICS[name]
    }
    for label, (optimizer, settings) in runs.items():
        built = optimizers.get(optimizer, **state_metrics.with_state(optimizer, settings, problem))
        result = train(problem.objective, model, built, steps=40, key=jax.random.key(1))
        losses[label] = result.loss
    assert all(losses[metric] < losses["gd"] for metric in METRICS[name]), losses
