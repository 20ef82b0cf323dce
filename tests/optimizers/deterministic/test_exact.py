"""Exact natural gradients of wide networks: the rate of the theory, and where it ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    ClassificationObjective,
    Points,
    Residual,
    ResidualObjective,
    Shuffled,
    optimizers,
)
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
    """|r| after every step of exact natural gradients over |r| before it."""
    return falls(model, optimizers.get("ngd-exact", **settings), regression(), steps)


def falls(model, optimizer, objective, steps):
    """|r| after every step over |r| before it."""
    batch = objective.batch(jax.random.key(0))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(
        lambda m, s: optimizer.step(m, s, objective, batch, key=jax.random.key(0))
    )
    norms = [float(objective.loss(model, batch)) ** 0.5]
    loss = eqx.filter_jit(objective.loss)
    for _ in range(steps):
        model, state, _ = step(model, state)
        norms.append(float(loss(model, batch)) ** 0.5)
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


def test_descent_has_the_rate_of_the_smallest_eigenvalue():
    """r_k = (1 - K / lambda_max)^k r_0: its factors grow to 1 - lambda_min / lambda_max."""
    model, objective = Features(jnp.zeros(60)), regression()
    system = objective.system(model, objective.batch(jax.random.key(0)))
    rows = np.asarray(system.operator.as_matrix())
    values, vectors = np.linalg.eigh(rows @ rows.T)
    parts = vectors.T @ np.concatenate([np.ravel(r) for r in jax.tree.leaves(system.target)])
    kept = 1 - values / values[-1]
    norms = [np.linalg.norm(kept**k * parts) for k in range(9)]
    descent = optimizers.get("sgd", rate=1 / values[-1], momentum=0.0)
    found = falls(model, descent, objective, 8)
    np.testing.assert_allclose(found, np.divide(norms[1:], norms[:-1]), rtol=1e-10)
    assert np.all(np.diff(found) > 0)
    assert found[-1] < kept[0]
    assert kept[0] > 0.9  # far from the 0.5 of exact natural gradients


class OneLayer(eqx.Module):
    """sum_j +-relu(w_j . x) / sqrt(m), of which the w_j are trained."""

    linear: eqx.nn.Linear

    def signs(self):
        width = self.linear.out_features
        return jnp.where(jnp.arange(width) % 2, -1.0, 1.0) / width**0.5

    def __call__(self, x):
        return (self.signs() @ jax.nn.relu(self.linear(x)))[None]


def hat(rows, damping):
    """R (R^T R / n + damping)^-1 R^T / n."""
    n, columns = rows.shape
    return rows @ np.linalg.solve(rows.T @ rows / n + damping * np.eye(columns), rows.T) / n


@pytest.mark.parametrize("dimensions", [8, 4])
def test_kfac_has_the_rate_of_leverages_and_not_that_of_exact_natural_gradients(dimensions):
    """r <- (1 - rate n H_X o H_S) r with the damped hat matrices of inputs and slopes, entry by
    entry. H_S is the identity up to the damping: six independent inputs fall as with the exact
    method, however collinear they are; six in four dimensions by their leverages, 4 / 6 of it in
    the mean."""
    n, damping = 6, 1e-12
    rng = np.random.default_rng(0)
    inputs = np.eye(dimensions)[0] + 0.3 * rng.standard_normal((n, dimensions))
    layer = eqx.nn.Linear(dimensions, 64, use_bias=False, key=jax.random.key(0))
    model = OneLayer(layer)
    start = np.asarray(jax.vmap(model)(jnp.asarray(inputs)))
    targets = start + 1e-6 * rng.standard_normal((n, 1))
    objective = ClassificationObjective(Shuffled(inputs, targets), loss="squared")
    kfac = optimizers.get(
        "kfac", rate=0.5 / n, schedule="constant", damping=damping, adaption="fixed",
        fisher="ggn", momentum=0.0, rescale=False, decay=0.0,
    )  # fmt: skip
    slopes = np.asarray(model.signs()) * (inputs @ np.asarray(layer.weight).T > 0)
    ratio = np.sqrt(np.sum(inputs**2) / dimensions / (np.sum(slopes**2) / 64))
    product = hat(inputs, ratio * damping**0.5) * hat(slopes, damping**0.5 / ratio)
    before = (start - targets)[:, 0]
    after = before - 0.5 * product @ before
    expected = np.linalg.norm(after) / np.linalg.norm(before)
    np.testing.assert_allclose(falls(model, kfac, objective, 1), expected, rtol=1e-7)
    if dimensions > n:
        np.testing.assert_allclose(expected, 0.5, atol=1e-3)
    else:
        assert np.trace(product) == pytest.approx(dimensions, rel=1e-3)
        assert expected > 0.55
