"""BFGS, self-scaled BFGS and Broyden, L-BFGS; Muon."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinn_ngd import optimizers
from pinn_ngd.optimizers import bfgs, scale_by_bfgs, scale_by_self_scaled, ssbfgs, ssbroyden
from pinn_ngd.optimizers.deterministic.quasi_newton import broyden_parameters
from tests.optimizers.helpers import network, poisson_1d, run


@pytest.mark.parametrize("name", ["bfgs", "ssbfgs", "ssbroyden", "lbfgs"])
def test_quasi_newton_baselines_lower_the_loss(name):
    objective, model = poisson_1d(), network()
    start = float(objective.loss(model, objective.batch()))
    _, info = run(optimizers.get(name), model, objective, 30)
    assert float(info.loss) < 1e-2 * start


@pytest.mark.parametrize("method", [bfgs, ssbfgs, ssbroyden])
def test_a_badly_scaled_quadratic_is_minimized(method):
    matrix = jnp.diag(jnp.asarray([1.0, 10.0, 100.0]))
    tx = method()
    x = jnp.ones(3)
    state = tx.init(x)

    def value(x):
        return 0.5 * x @ matrix @ x

    @jax.jit
    def step(x, state):
        v, g = jax.value_and_grad(value)(x)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = tx.update(g, state, x, value=v, grad=g, value_fn=value)
        return optax.apply_updates(x, updates), state

    for _ in range(25):  # no finite termination: Wolfe steps are not exact minimizations
        x, state = step(x, state)
    assert float(value(x)) < 1e-12


def test_bfgs_satisfies_the_secant_equation():
    tx = scale_by_bfgs()
    x = jnp.arange(1.0, 5.0)
    matrix = jnp.diag(jnp.array([1.0, 3.0, 10.0, 40.0]))
    state = tx.init(x)
    for n in range(3):
        _, state = tx.update(matrix @ x, state, x)
        moved = x + 0.1 * jnp.cos(jnp.arange(4.0) + n)
        _, after = tx.update(matrix @ moved, state, moved)
        np.testing.assert_allclose(after.inverse @ (matrix @ (moved - x)), moved - x, rtol=1e-12)
        np.testing.assert_allclose(after.inverse, after.inverse.T, rtol=1e-12)
        assert jnp.linalg.eigvalsh(after.inverse).min() > 0
        x, state = moved, after


MATRIX = jnp.diag(jnp.array([1.0, 3.0, 10.0, 40.0])) + 0.5
MATRIX_NORM = float(jnp.linalg.norm(MATRIX))


def after_two_pairs(tx):
    """The states before and after the second pair of a descent, and that pair."""
    x = jnp.arange(1.0, 5.0)
    state, moves = tx.init(x), []
    for length in (0.01, 0.3):
        direction, state = tx.update(MATRIX @ x, state, x)
        moves.append((state, x))
        x = x - length * direction
    _, last = tx.update(MATRIX @ x, state, x)
    before, start = moves[-1]
    return before, last, x - start, MATRIX @ (x - start)


@pytest.mark.parametrize("kind", ["bfgs", "broyden"])
def test_self_scaled_updates_are_those_of_the_hessian_inverted(kind):
    """The literature has the update of B = H^-1: its dense inverse is the oracle."""
    before, after, s, y = after_two_pairs(scale_by_self_scaled(kind))
    hessian = jnp.linalg.inv(before.inverse)
    hs, ys = hessian @ s, y @ s
    b, h = s @ hs / ys, y @ before.inverse @ y / ys
    a = b * h - 1
    tau, theta = min(1.0, 1 / b), 0.0
    if kind == "broyden":
        least = min(1.0, h * (1 - (a / (1 + a)) ** 0.5))
        theta = max((least - 1) / a, min(1 / least, (1 - b) / b))
        sigma = 1 + a * theta
        root = sigma ** (-1 / 3)
        tau = tau * min(root, 1 / theta) if theta > 0 else min(tau * root, sigma)
    w = y / ys - hs / (s @ hs)
    scaled = hessian - jnp.outer(hs, hs) / (s @ hs) + theta * (s @ hs) * jnp.outer(w, w)
    expected = tau * scaled + jnp.outer(y, y) / ys
    np.testing.assert_allclose(jnp.linalg.inv(after.inverse), expected, atol=1e-11 * MATRIX_NORM)
    np.testing.assert_allclose(after.inverse @ y, s, rtol=1e-10)
    assert jnp.linalg.eigvalsh(after.inverse).min() > 0


@pytest.mark.parametrize("b", [0.1, 0.9, 1.0, 3.0, 50.0])
@pytest.mark.parametrize("excess", [1e-3, 0.5, 20.0])
def test_self_scaling_never_raises_the_hessian_and_keeps_it_definite(b, excess):
    b = jnp.asarray(b)
    tau, phi = broyden_parameters(b, (1 + excess) / b, 7)
    assert 0 < float(tau) <= 1
    assert float(phi) > -1 / excess  # det H+ > 0: H+ is positive definite


def test_with_exact_scaling_both_updates_are_bfgs():
    """b = 1 and h = 1: nothing has to be scaled, and the update is the plain one."""
    tau, phi = broyden_parameters(jnp.asarray(1.0), jnp.asarray(1.0), 7)
    assert float(tau) == pytest.approx(1.0)
    assert float(phi) == pytest.approx(1.0)


def test_pairs_without_curvature_are_skipped():
    tx, x = scale_by_self_scaled(), jnp.ones(3)
    _, state = tx.update(x, tx.init(x), x)
    _, after = tx.update(2 * x, state, 0.5 * x)  # the gradient grows downhill
    np.testing.assert_array_equal(after.inverse, jnp.eye(3))
    with pytest.raises(ValueError, match="`params` is required by quasi-Newton"):
        tx.update(x, state)


@pytest.mark.slow
def test_muon_is_that_of_optax():
    from optax.contrib import muon

    objective, model = poisson_1d(), network()
    ours, _ = run(optimizers.get("muon", rate=0.02), model, objective, 1)
    params = eqx.filter(model, eqx.is_inexact_array)
    tx = muon(0.02)
    loss = lambda q: objective.loss(eqx.combine(q, model), objective.batch())  # noqa: E731
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = tx.update(jax.grad(loss)(params), tx.init(params), params)
    theirs = eqx.apply_updates(model, updates)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        if eqx.is_array(mine):
            np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)
