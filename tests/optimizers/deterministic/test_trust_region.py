"""engd-tr: invariances, agreement with closed forms, and the promise never to move on failure."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Interval, Residual, ResidualObjective, Trapezoid, _tree
from pinn_ngd.linalg import get_solver
from pinn_ngd.optimizers import Chord, Geodesic, Plain, TrustRegion
from pinn_ngd.optimizers.base import NO_DAMPING_HELPS, STATIONARY
from tests.optimizers.helpers import network, poisson_1d, ritz_1d


class Line(eqx.Module):
    """u(x) = a + b x: every residual below is linear in it."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        return self.a + self.b * x[0]


def line(a=0.0, b=0.0):
    return Line(jnp.asarray(a, jnp.float64), jnp.asarray(b, jnp.float64))


@eqx.filter_jit
def _step(optimizer, model, state, objective, batch):
    return optimizer.step(model, state, objective, batch, key=jax.random.key(0))


def run(optimizer, model, objective, steps):
    batch = objective.batch(jax.random.key(0))
    state = optimizer.init(model, objective, batch)
    infos = []
    for _ in range(steps):
        model, state, info = _step(optimizer, model, state, objective, batch)
        infos.append(info)
    return model, state, infos


def fit(target):
    return ResidualObjective(
        [Residual(lambda u, x: u(x) - target(x), Trapezoid(Interval(0, 1), 9))]
    )


def test_linear_problem_is_solved_to_rounding_and_then_reported_as_finished():
    model, _, infos = run(TrustRegion(), line(), fit(lambda x: 3.0 - 2.0 * x[0]), 12)
    np.testing.assert_allclose([model.a, model.b], [3.0, -2.0], rtol=1e-12)
    assert int(infos[-1].stop) in (NO_DAMPING_HELPS, STATIONARY)


def test_predicted_equals_actual_on_a_linear_problem():
    _, _, infos = run(TrustRegion(), line(), fit(lambda x: jnp.exp(x[0])), 1)
    np.testing.assert_allclose(infos[0].predicted, infos[0].actual, rtol=1e-12)


def test_first_accepted_damping_solves_the_damped_normal_equations():
    objective = fit(lambda x: jnp.exp(x[0]))
    start = line()
    model, _, infos = run(TrustRegion(), start, objective, 1)
    batch = objective.batch()
    system = objective.system(start, batch)
    a = system.operator.as_matrix()
    b = jnp.concatenate(system.target)
    expected = jnp.linalg.solve(a.T @ a + infos[0].damping * jnp.eye(2), a.T @ b)
    np.testing.assert_allclose([-model.a, -model.b], expected, rtol=1e-10)


@pytest.mark.parametrize(
    "acceleration", [Chord(), Geodesic(), Plain()], ids=lambda a: type(a).__name__
)
def test_network_loss_falls_monotonically(acceleration):
    optimizer = TrustRegion(acceleration=acceleration)
    _, _, infos = run(optimizer, network(), poisson_1d(), 25)
    losses = np.array([i.loss for i in infos])
    # After a refused step the loss of the same parameters is computed anew, equal to rounding.
    assert np.all(np.diff(losses) <= 1e-15 * losses[:-1])
    assert losses[-1] < 1e-3 * losses[0]


def test_chord_goes_further_than_plain_steps():
    chord = run(TrustRegion(), network(8), poisson_1d(), 60)[2][-1].loss
    plain = run(TrustRegion(acceleration=Plain()), network(8), poisson_1d(), 60)[2][-1].loss
    assert chord < plain / 10


def test_energy_objective_converges_to_the_minimizer():
    model, _, _ = run(TrustRegion(), network(8), ritz_1d(), 40)
    x = jnp.linspace(0.0, 1.0, 101)[:, None]
    error = jax.vmap(model)(x) - jnp.cos(jnp.pi * x[:, 0])
    assert float(jnp.max(jnp.abs(error))) < 1e-5


def test_rejected_step_leaves_parameters_bitwise_unchanged():
    def nonsense(u, x):  # The forward value is right, the derivative has the wrong sign.
        value = u(x) - 1.0
        return jax.lax.stop_gradient(2 * value) - value

    objective = ResidualObjective([Residual(nonsense, Trapezoid(Interval(0, 1), 9))])
    start = line(0.3, 0.1)
    model, state, infos = run(TrustRegion(), start, objective, 1)
    assert not bool(infos[0].accepted)
    assert (model.a, model.b) == (start.a, start.b)
    assert float(infos[0].step_length) == 0.0
    assert float(state.damping) > float(infos[0].damping)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["spectral-qr", "spectral-gram", "qr", "cholesky", "svd"])
def test_every_direct_solver_takes_the_same_first_step(solver):
    objective, start = poisson_1d(), network()
    reference = run(TrustRegion(), start, objective, 1)[0]
    model = run(TrustRegion(solver=get_solver(solver)), start, objective, 1)[0]
    change = _tree.subtract(eqx.filter(reference, eqx.is_array), eqx.filter(start, eqx.is_array))
    gap = _tree.subtract(eqx.filter(reference, eqx.is_array), eqx.filter(model, eqx.is_array))
    assert float(_tree.norm(gap)) < 1e-6 * float(_tree.norm(change))


@pytest.mark.slow
def test_matrix_free_takes_the_same_first_step():
    """From the same damping: the two forms start from different norms of A."""
    objective, start = poisson_1d(), network()
    batch = objective.batch()
    steps = []
    for settings in ({}, {"solver": get_solver("cg"), "form": "matrix-free"}):
        optimizer = TrustRegion(grid=(1.0, 1e2, 3), **settings)
        state = optimizer.init(start, objective, batch)
        state = eqx.tree_at(lambda s: s.damping, state, jnp.asarray(1.0))
        model, _, info = _step(optimizer, start, state, objective, batch)
        assert bool(info.accepted)
        steps.append(
            _tree.subtract(eqx.filter(model, eqx.is_array), eqx.filter(start, eqx.is_array))
        )
    gap = _tree.norm(_tree.subtract(*steps))
    assert float(gap) < 1e-6 * float(_tree.norm(steps[0]))


def test_invariance_under_rotation_of_the_parameters():
    """theta = Q phi with Q orthogonal: damped least squares commutes with Q."""
    objective = fit(lambda x: jnp.exp(x[0]))
    angle = 0.7
    c, s = jnp.cos(angle), jnp.sin(angle)

    class Rotated(eqx.Module):
        p: jax.Array
        q: jax.Array

        def __call__(self, x):
            return (c * self.p - s * self.q) + (s * self.p + c * self.q) * x[0]

    plain = run(TrustRegion(), line(), objective, 2)[0]
    turned = run(TrustRegion(), Rotated(jnp.asarray(0.0), jnp.asarray(0.0)), objective, 2)[0]
    np.testing.assert_allclose(
        [c * turned.p - s * turned.q, s * turned.p + c * turned.q], [plain.a, plain.b], rtol=1e-9
    )


def test_step_compiles_once():
    count = 0

    def traced(u, x):
        nonlocal count
        count += 1
        return u(x) - 1.0

    objective = ResidualObjective([Residual(traced, Trapezoid(Interval(0, 1), 9))])
    run(TrustRegion(), line(), objective, 1)
    first = count
    batch = objective.batch()
    model, state = line(), TrustRegion().init(line(), objective, batch)
    for _ in range(3):
        model, state, _ = _step(TrustRegion(), model, state, objective, batch)
    assert count == first


def test_unknown_form_is_named():
    optimizer = TrustRegion()
    object.__setattr__(optimizer, "form", "sideways")  # past the type checker of the tests
    with pytest.raises((ValueError, TypeError), match="form"):
        run(optimizer, line(), fit(lambda x: x[0]), 1)
