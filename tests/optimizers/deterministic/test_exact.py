"""Exact natural gradients of wide networks: the rate of the theory, and where it ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Points, Residual, ResidualObjective, optimizers
from pinn_ngd.validation import kernel_conditions

ROWS, INPUTS = 20, 10


class TwoLayers(eqx.Module):
    """sum_j a_j relu(w_j . x) / sqrt(m); the second layer may be fixed."""

    weight: jax.Array
    signs: jax.Array  # one output, as a matrix: a layer of its own
    both: bool = eqx.field(static=True)

    def __init__(self, width, key, both=False):
        first, second = jax.random.split(key)
        self.weight = jax.random.normal(first, (width, INPUTS))
        self.signs = jax.random.rademacher(second, (1, width), float)
        self.both = both

    def __call__(self, x):
        signs = self.signs if self.both else jax.lax.stop_gradient(self.signs)
        return (signs @ jax.nn.relu(self.weight @ x))[0] / signs.size**0.5


def regression(rows=ROWS):
    """Unit inputs in ten dimensions and normal targets."""
    inputs = np.random.default_rng(0).standard_normal((rows, INPUTS))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    targets = np.random.default_rng(1).standard_normal(rows)
    data = Points(inputs, weights=np.ones(rows), values=targets)
    return ResidualObjective([Residual(lambda u, x, *, value: u(x) - value, data)])


def ratios(model, steps=6, **settings):
    """|r| after every step over |r| before it."""
    objective, optimizer = regression(), optimizers.get("ngd-exact", **settings)
    batch = objective.batch(jax.random.key(0))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(
        lambda m, s: optimizer.step(m, s, objective, batch, key=jax.random.key(0))
    )
    norms = [float(objective.loss(model, batch)) ** 0.5]
    for _ in range(steps):
        model, state, info = step(model, state)
        norms.append(float(info.loss) ** 0.5)
    return np.divide(norms[1:], norms[:-1])


def test_the_residual_of_a_wide_network_contracts_by_one_minus_the_rate():
    narrow, wide = (ratios(TwoLayers(m, jax.random.key(3))) for m in (64, 4096))
    assert np.max(np.abs(wide - 0.5)) < 0.02
    assert np.max(np.abs(wide - 0.5)) < 0.5 * np.max(np.abs(narrow - 0.5))


@pytest.mark.slow
def test_the_rate_is_exact_within_a_percent_at_width_16384():
    found = ratios(TwoLayers(16384, jax.random.key(3)))
    assert np.max(np.abs(found - 0.5)) < 0.01


@pytest.mark.parametrize("by_layer", [False, True])
def test_both_layers_together_or_each_by_itself_have_the_same_rate(by_layer):
    model = TwoLayers(4096, jax.random.key(3), both=True)
    found = ratios(model, by_layer=by_layer)
    assert np.max(np.abs(found - 0.5)) < 0.02


def conditions(model, rows=ROWS):
    objective = regression(rows)
    batch = objective.batch(jax.random.key(0))
    found = kernel_conditions(objective, model, batch, key=jax.random.key(1))
    assert found is not None
    return objective, batch, found


def test_conditions_are_measured_and_hold_better_in_wider_networks():
    models = [TwoLayers(m, jax.random.key(3)) for m in (64, 4096)]
    narrow, wide = (conditions(model)[2] for model in models)
    assert narrow.full_rank
    assert wide.full_rank
    assert wide.drift < 0.5 * narrow.drift
    assert "does not apply" in str(narrow)


def test_the_smallest_eigenvalue_is_that_of_the_kernel():
    model = TwoLayers(64, jax.random.key(3))
    objective, batch, found = conditions(model)
    rows = np.asarray(objective.system(model, batch).operator.as_matrix())
    values = np.linalg.svd(rows, compute_uv=False) ** 2
    np.testing.assert_allclose([found.smallest, found.largest], values[[-1, 0]], rtol=1e-9)
    residual = objective.system(model, batch).target
    length = np.linalg.norm(np.concatenate([np.ravel(r) for r in jax.tree.leaves(residual)]))
    np.testing.assert_allclose(found.radius, 3 * length / values[-1] ** 0.5, rtol=1e-9)


class Features(eqx.Module):
    """Linear in its coefficients: the Jacobian stays."""

    coefficients: jax.Array

    def __call__(self, x):
        waves = 2 * np.random.default_rng(2).standard_normal((len(self.coefficients), INPUTS))
        return jnp.cos(waves @ x + np.arange(len(waves)) * 1.0) @ self.coefficients


def test_a_linear_model_keeps_its_jacobian_and_contracts_exactly():
    model = Features(jnp.zeros(60))
    assert conditions(model)[2].drift == 0
    assert conditions(model)[2].stable
    assert "may apply" in str(conditions(model)[2])
    np.testing.assert_allclose(ratios(model, rate=0.3), 0.7, rtol=1e-6)


def test_below_full_row_rank_the_residual_ends_at_the_least_squares_one():
    model = Features(jnp.zeros(8))
    objective, batch, found = conditions(model)
    assert found.rank == 8
    assert not found.full_rank
    assert "least-squares" in str(found)
    system = objective.system(model, batch)
    rows = np.asarray(system.operator.as_matrix())
    residual = np.concatenate([np.ravel(r) for r in jax.tree.leaves(system.target)])
    least = residual - rows @ np.linalg.lstsq(rows, residual)[0]
    optimizer = optimizers.get("ngd-exact", rate=1.0)
    state = optimizer.init(model, objective, batch)
    _, _, info = optimizer.step(model, state, objective, batch, key=jax.random.key(0))
    np.testing.assert_allclose(info.loss, 0.5 * least @ least, rtol=1e-12)


def test_a_jacobian_that_is_too_large_has_no_conditions(monkeypatch):
    monkeypatch.setattr("pinn_ngd.validation.kernel.LIMIT", 100)
    objective, model = regression(), TwoLayers(64, jax.random.key(3))
    batch = objective.batch(jax.random.key(0))
    assert kernel_conditions(objective, model, batch, key=jax.random.key(1)) is None


def test_fewer_parameters_than_residuals_have_no_smallest_eigenvalue_above_zero():
    found = conditions(Features(jnp.zeros(8)))[2]
    assert found.smallest == 0
    assert not found.stable
