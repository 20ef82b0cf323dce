"""Directions of a simulated device: delay, carried state, noise, temperature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import LeastSquaresSystem, get_solver
from pinn_ngd.optimizers import Exact, RelativeNoise, Thermodynamic
from pinn_ngd.spu import SPU
from tests.optimizers.helpers import flat
from tests.optimizers.minibatch.helpers import (
    DAMPING,
    blobs,
    close,
    damped_system,
    dense,
    move,
    network,
)


def test_a_delay_runs_the_old_system_first():
    """Two segments, against the matrix exponentials of both systems."""
    objective, models = blobs(), (network(0), network(1))
    systems = []
    for model in models:
        system = objective.system(model, objective.batch(jax.random.key(3)))
        systems.append(LeastSquaresSystem(system.operator, system.target, damping=DAMPING))

    def settle(system, time, x):
        rows = system.operator.as_matrix()
        g = rows.T @ system.target.reshape(-1)
        matrix = rows.T @ rows + DAMPING * jnp.eye(len(g))
        end = jnp.linalg.solve(matrix, g)
        return end + jax.scipy.linalg.expm(-time * matrix) @ (x - end), g

    for carry in (False, True):
        direction = Thermodynamic(SPU(time=2.0), delay=0.5, carry=carry)
        state = direction.init(systems[0])
        first, state = direction(systems[0], state, jax.random.key(0))
        found, _ = direction(systems[1], state, jax.random.key(0))
        g = settle(systems[0], 0.0, jnp.zeros_like(flat(first)))[1]
        x = settle(systems[0], 2.0, g)[0]
        close(flat(first), x)
        x = settle(systems[0], 0.5, x if carry else g)[0]
        close(flat(found), settle(systems[1], 1.5, x)[0])


@pytest.mark.slow
def test_a_carried_state_continues_and_a_reset_one_does_not():
    system = damped_system(DAMPING)
    natural = dense()[1]
    for carry in (True, False):
        direction = Thermodynamic(SPU(time=1.0), carry=carry)
        state, errors = direction.init(system), []
        for _ in range(30):
            found, state = direction(system, state, jax.random.key(0))
            errors.append(float(jnp.linalg.norm(flat(found) - natural)))
        assert (errors[-1] < 0.2 * errors[0]) == carry


def test_noise_is_relative_to_the_direction():
    system, inner = damped_system(DAMPING), Exact(get_solver("cholesky"))
    exact = flat(inner(system, (), jax.random.key(0))[0])
    noisy = RelativeNoise(inner, 0.5)
    found = [flat(noisy(system, noisy.init(system), jax.random.key(k))[0]) for k in range(40)]
    ratio = np.mean([float(jnp.linalg.norm(f - exact)) for f in found])
    assert abs(ratio / float(jnp.linalg.norm(exact)) - 0.5) < 0.05


def test_temperature_needs_no_more_than_a_step_key():
    first = move("tngd", time=2.0, temperature=1e-3, damping=DAMPING)
    assert not np.allclose(first, move("tngd", time=2.0, damping=DAMPING))
