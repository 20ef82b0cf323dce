"""K-FAC for residuals: its steps against dense matrices, convergence, and what it refuses."""

import itertools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Residual, ResidualObjective, optimizers
from pinn_ngd.linalg import kronecker_blocks
from pinn_ngd.objectives import layerwise_system
from pinn_ngd.optimizers.base import NO_STEP_HELPS, STATIONARY
from pinn_ngd.optimizers.minibatch.residual_kfac import PATIENCE
from tests.optimizers.helpers import exact, flat, network, poisson_1d, ritz_1d

DAMPING = 1.0


def kfac(**settings):
    """As published, with one iteration, unless a test says otherwise."""
    return optimizers.get("kfac-pinn", **{"damping": DAMPING, "iterations": 1, **settings})


@eqx.filter_jit
def dense(objective, model, batch):
    """Rows, target, and the curvature of K-FAC with the damping's identity."""
    system = layerwise_system(objective, model, batch)
    target = jnp.concatenate([part.ravel() for part in system.target])
    return system.operator.as_matrix(), target, kronecker_blocks(system.operator).as_matrix()


def steps_of(optimizer, objective, model, count):
    batch = objective.batch()
    step, state = eqx.filter_jit(optimizer.step), optimizer.init(model, objective, batch)
    found = []
    for _ in range(count):
        new, state, info = step(model, state, objective, batch, key=jax.random.key(0))
        found.append((flat(new) - flat(model), info))
        model = new
    return found, model, state


@pytest.mark.slow
def test_two_steps_are_the_least_of_the_quadratic_model():
    """Exact damping, so that the direction is a dense solve; factors of two steps are averaged."""
    objective, model = poisson_1d(6), network(4)
    batch = objective.batch()
    optimizer = kfac(factored=False, adaption="fixed", decay=0.25)
    (first, second), _, _ = steps_of(optimizer, objective, model, 2)
    rows, target, blocks = dense(objective, model, batch)
    gradient, direction = _solved(rows, target, blocks)
    matrix = np.asarray(rows.T @ rows) + DAMPING * np.eye(len(gradient))
    length = gradient @ direction / (direction @ matrix @ direction)
    np.testing.assert_allclose(first[0], -length * direction, rtol=1e-6, atol=1e-10)
    assert float(first[1].predicted) == pytest.approx(length * gradient @ direction / 2, rel=1e-8)

    moved = _moved(model, first[0])
    rows, target, _ = dense(objective, moved, batch)
    gradient, direction = _solved(rows, target, _averaged(objective, model, moved))
    matrix = np.asarray(rows.T @ rows) + DAMPING * np.eye(len(gradient))
    plane = np.stack([-direction, np.asarray(first[0])], axis=1)
    c = -np.linalg.solve(plane.T @ matrix @ plane, plane.T @ gradient)
    assert abs(c[1]) > 1e-3
    np.testing.assert_allclose(second[0], plane @ c, rtol=1e-5, atol=1e-9)


def _solved(rows, target, blocks):
    """The gradient, and K-FAC's direction with exact damping."""
    gradient = np.asarray(rows.T @ target)
    return gradient, np.linalg.solve(np.asarray(blocks) + DAMPING * np.eye(len(blocks)), gradient)


@eqx.filter_jit
def _averaged(objective, *models):
    """The blocks of averaged factors, a quarter of the first and three of the second."""
    batch = objective.batch()
    parts = [kronecker_blocks(layerwise_system(objective, m, batch).operator) for m in models]
    return jax.tree.map(lambda x, y: 0.25 * x + 0.75 * y, *parts).as_matrix()


def _moved(model, update):
    params, static = eqx.partition(model, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(params)
    parts = np.split(np.asarray(update), np.cumsum([leaf.size for leaf in leaves])[:-1])
    new = [leaf + part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)]
    return eqx.combine(jax.tree.unflatten(treedef, new), static)


@pytest.mark.slow
def test_with_a_search_the_direction_has_heavy_ball_momentum():
    objective, model = poisson_1d(6), network(4)
    optimizer = kfac(factored=False, adaption="fixed", search="grid", momentum=0.5, decay=0.0)
    (first, second), _, _ = steps_of(optimizer, objective, model, 2)
    moved = _moved(model, first[0])
    rows, target, blocks = dense(objective, moved, objective.batch())
    direction = np.linalg.solve(blocks + DAMPING * np.eye(len(blocks)), rows.T @ target)
    along = -direction + 0.5 * np.asarray(first[0])
    t = np.asarray(second[0]) @ along / (along @ along)
    np.testing.assert_allclose(second[0], t * along, rtol=1e-5, atol=1e-9)
    assert np.log2(t) == pytest.approx(round(np.log2(t)), abs=1e-6)  # a length of the grid
    assert float(second[1].actual) > 0


def test_more_iterations_than_parameters_are_the_damped_gauss_newton_step():
    """Conjugate gradients end there, and the quadratic model finds its length to be one."""
    objective, model = poisson_1d(6), network(4)
    optimizer = kfac(iterations=20, adaption="fixed", momentum=0.0)
    (first,), _, _ = steps_of(optimizer, objective, model, 1)
    rows, target, _ = dense(objective, model, objective.batch())
    matrix = np.asarray(rows.T @ rows) + DAMPING * np.eye(13)
    expected = -np.linalg.solve(matrix, np.asarray(rows.T @ target))
    np.testing.assert_allclose(first[0], expected, rtol=1e-8, atol=1e-10)


# Settings, steps, and an error that they reach: with ten iterations in fewer steps.
RUNS = [
    ({"iterations": 10}, 60, 1e-3),
    pytest.param({}, 150, 1e-3, marks=pytest.mark.slow),
    pytest.param({"search": "armijo"}, 150, 3e-3, marks=pytest.mark.slow),
]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "steps", "goal"), RUNS)
def test_it_solves_poisson_and_the_loss_never_rises(settings, steps, goal):
    objective = poisson_1d()
    found, model, _ = steps_of(kfac(**settings), objective, network(8), steps)
    losses = [float(info.loss) for _, info in found]
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(losses))
    x = jnp.linspace(0.0, 1.0, 41)[:, None]
    error = jax.vmap(model)(x) - jax.vmap(exact)(x)
    assert float(jnp.sqrt(jnp.mean(error**2))) < goal


def test_a_step_that_would_raise_the_loss_is_refused_and_more_damped():
    """The first steps of so small a damping are far too long."""
    objective, model = poisson_1d(6), network(4)
    found, after, state = steps_of(kfac(damping=1e-10), objective, model, 2)
    for update, info in found:
        assert not bool(info.accepted)
        assert not np.any(np.asarray(update))
        assert float(info.actual) == 0
    assert float(found[1][1].damping) > float(found[0][1].damping)
    assert int(state.refused) == 2
    assert int(kfac().refreshed(state).refused) == 0
    np.testing.assert_array_equal(flat(after), flat(model))


@pytest.mark.slow
def test_twenty_refused_steps_in_a_row_end_a_run():
    nothing = Residual(lambda u, x: 1.0 + 1e-30 * u(x), np.linspace(0.0, 1.0, 5)[:, None])
    found, _, _ = steps_of(kfac(), ResidualObjective([nothing]), network(4), PATIENCE)
    stops = [int(info.stop) for _, info in found]
    assert stops == [0] * (PATIENCE - 1) + [NO_STEP_HELPS]


class Scaled(eqx.Module):
    """A network times a number that is no part of a layer."""

    inner: eqx.Module
    scale: jax.Array

    def __call__(self, x):
        return self.scale * self.inner(x)


class Power(eqx.Module):
    scale: jax.Array

    def __call__(self, x):
        return self.scale * x[0] ** 2


@pytest.mark.slow
def test_parameters_outside_of_layers_are_trained_and_named():
    objective, model = poisson_1d(6), Scaled(network(4), jnp.asarray(1.5))
    with pytest.warns(UserWarning, match="no Kronecker factors: .scale; `objectives.layer_cov"):
        found, new, _ = steps_of(kfac(), objective, model, 3)
    assert float(new.scale) != 1.5
    assert float(found[-1][1].loss) < float(found[0][1].loss)


def test_what_has_no_layers_is_refused_in_a_sentence():
    objective = poisson_1d(6)
    with pytest.raises(ValueError, match="takes the residuals of a ResidualObjective apart, and t"):
        kfac().check(network(4), ritz_1d(4))
    with pytest.raises(ValueError, match="no layer of the model can be captured"):
        kfac().init(Power(jnp.asarray(1.0)), objective, objective.batch())
    with pytest.raises(ValueError, match="`search` is 'wolfe'; it must be one of armijo, grid, fi"):
        kfac(search="wolfe")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kfac().init(network(4), objective, objective.batch())


def test_it_cites_its_authors():
    assert "arXiv:2405.15603" in optimizers.citation("kfac-pinn")


@pytest.mark.slow
def test_a_zero_gradient_ends_a_run_and_moves_nothing():
    """Neither conjugate gradients nor the quadratic model have anything to divide by."""
    nothing = Residual(lambda u, x: 0.0 * u(x), np.linspace(0.0, 1.0, 5)[:, None])
    found, _, _ = steps_of(kfac(iterations=10), ResidualObjective([nothing]), network(4), 1)
    update, info = found[0]
    assert int(info.stop) == STATIONARY
    assert not np.any(np.asarray(update))
    assert np.isfinite(float(info.loss))
