"""The device inside of a natural gradient of a PINN."""

import equinox as eqx
import jax
import pytest

from pinn_ngd import load_problem
from pinn_ngd.optimizers import NaturalGradient
from pinn_ngd.spu import SPU


@pytest.mark.slow
@pytest.mark.parametrize("simulation", ["exact", "lanczos"])
def test_a_natural_gradient_on_the_device_lowers_the_loss(simulation):
    problem, key = load_problem("heat-1d"), jax.random.key(0)
    model, batch = problem.model(key), problem.objective.batch(key)
    optimizer = NaturalGradient(damping=1e-3, solver=SPU(time=1e4, simulation=simulation))
    state = optimizer.init(model, problem.objective, batch)
    step = eqx.filter_jit(optimizer.step)
    first = float(problem.objective.evaluate(model, batch).loss)
    for _ in range(5):
        model, state, info = step(model, state, problem.objective, batch, key=key)
        assert info.accepted
    assert float(problem.objective.evaluate(model, batch).loss) < 0.1 * first
