"""Hessian-free steps against dense matrices, what the loss picks, and convergence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.linalg import Truncated
from pinn_ngd.metrics import EnergyMetric
from pinn_ngd.optimizers import FixedDamping, FixedStep, HessianFree
from tests.optimizers.helpers import exact, flat, network, poisson_1d, ritz_1d

DAMPING = 0.3


@eqx.filter_jit
def dense(objective, model, batch):
    """Rows and target of the Gauss-Newton system."""
    system = EnergyMetric().system(objective, model, batch)
    target = jnp.concatenate([part.ravel() for part in jax.tree.leaves(system.target)])
    return system.operator.as_matrix(), target


def stepped(optimizer, objective, model, state=None):
    batch = objective.batch()
    state = optimizer.init(model, objective, batch) if state is None else state
    return eqx.filter_jit(optimizer.step)(model, state, objective, batch, key=jax.random.key(0))


@pytest.mark.parametrize("form", ["auto", "matrix-free"])
def test_with_enough_iterations_a_step_is_the_dense_one(form):
    objective, model = poisson_1d(6), network(4)
    optimizer = HessianFree(
        FixedDamping(DAMPING), Truncated(most=40), search=FixedStep(1.0), form=form
    )
    new, state, info = stepped(optimizer, objective, model)
    rows, target = dense(objective, model, objective.batch())
    gram = rows.T @ rows + DAMPING * np.eye(rows.shape[1])
    direction = np.linalg.solve(gram, rows.T @ target)
    np.testing.assert_allclose(flat(model) - flat(new), direction, rtol=1e-9, atol=1e-9)
    model_reduction = target @ rows @ direction - 0.5 * np.sum((rows @ direction) ** 2)
    np.testing.assert_allclose(info.predicted, model_reduction, rtol=1e-9)
    np.testing.assert_allclose(flat(state.direction), direction, rtol=1e-9, atol=1e-9)


def test_the_loss_picks_an_early_iterate_where_it_is_the_better_one():
    """Undamped, the last iterates are steps far beyond what the linearization holds for."""
    objective, model, batch = poisson_1d(6), network(4), poisson_1d(6).batch()
    many = {"damping": FixedDamping(1e-12), "search": FixedStep(1.0)}
    whole, _, _ = stepped(HessianFree(inner=Truncated(most=60), **many), objective, model)
    inner = Truncated(most=60, keep=True)
    picked, _, info = stepped(HessianFree(inner=inner, **many), objective, model)
    before = objective.loss(model, batch)
    assert objective.loss(picked, batch) < min(before, 0.5 * objective.loss(whole, batch))
    np.testing.assert_allclose(before - info.actual, objective.loss(picked, batch), rtol=1e-12)


def test_the_damping_follows_the_ratio_by_two_thirds():
    objective, model = poisson_1d(6), network(4)
    optimizer = optimizers.get("hessian-free", damping=10.0)
    new, state, info = stepped(optimizer, objective, model)
    ratio = info.actual / info.predicted
    factor = 2 / 3 if ratio > 0.75 else 1.5 if ratio < 0.25 else 1.0
    np.testing.assert_allclose(state.damping, 10.0 * factor)
    _, after, _ = stepped(optimizer, objective, new, state)
    assert after.damping != state.damping


def test_a_small_pinn_converges():
    objective, model = poisson_1d(), network(6)
    optimizer, batch = optimizers.get("hessian-free"), objective.batch()
    step, state = eqx.filter_jit(optimizer.step), optimizer.init(model, objective, batch)
    for _ in range(120):
        model, state, _ = step(model, state, objective, batch, key=jax.random.key(0))
    x = jnp.linspace(0, 1, 50)[:, None]
    error = jax.vmap(model)(x).ravel() - jax.vmap(exact)(x)
    assert jnp.sqrt(jnp.mean(error**2)) < 1e-4


def test_an_energy_falls_with_stored_rows_and_has_no_products():
    objective, model = ritz_1d(), network(4)
    new, _, info = stepped(optimizers.get("hessian-free"), objective, model)
    assert info.accepted
    assert objective.loss(new, objective.batch()) < objective.loss(model, objective.batch())
    matrix_free = optimizers.get("hessian-free", form="matrix-free")
    with pytest.raises(ValueError, match="has no matrix-free system, which this optimizer needs"):
        matrix_free.init(model, objective, objective.batch())


def test_it_cites_martens():
    assert "Hessian" in optimizers.citation("hessian-free").replace("{H}", "H")
