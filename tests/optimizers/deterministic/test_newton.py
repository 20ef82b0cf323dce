"""NysNewton-CG against the dense Hessian, its memory, and convergence."""

import equinox as eqx
import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import _tree, optimizers
from pinn_ngd.linalg import Truncated
from pinn_ngd.optimizers import FixedDamping, FixedStep, LevenbergMarquardt, NystromNewton
from tests.optimizers.helpers import flat, network, poisson_1d, run

DAMPING = 2e3  # above the most negative eigenvalue at the start
OBJECTIVE, MODEL = poisson_1d(6), network(4)
BATCH = OBJECTIVE.batch()


@jax.jit
def hessian_and_gradient(theta):
    params, static = _tree.trainable(MODEL)
    unravel = ravel_pytree(params)[1]

    def loss(q):
        return OBJECTIVE.loss(eqx.combine(unravel(q), static), BATCH)

    return jax.hessian(loss)(theta), jax.grad(loss)(theta)


def newton(**settings):
    inner = Truncated(most=200, tolerance=1e-13)
    given = {"damping": FixedDamping(DAMPING), "inner": inner, "search": FixedStep(1.0)}
    return NystromNewton(**{"rank": 8, **given, **settings})


def stepped(optimizer, model, state=None, seed=0):
    state = optimizer.init(model, OBJECTIVE, BATCH) if state is None else state
    step = eqx.filter_jit(optimizer.step)
    return step(model, state, OBJECTIVE, BATCH, key=jax.random.key(seed))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [2, 8, 100])
def test_a_step_is_the_dense_one_whatever_the_rank(rank):
    hessian, gradient = hessian_and_gradient(flat(MODEL))
    direction = np.linalg.solve(hessian + DAMPING * np.eye(len(gradient)), gradient)
    new, state, info = stepped(newton(rank=rank), MODEL)
    np.testing.assert_allclose(flat(MODEL) - flat(new), direction, rtol=1e-9, atol=1e-12)
    predicted = gradient @ direction - 0.5 * direction @ hessian @ direction
    np.testing.assert_allclose(info.predicted, predicted, rtol=1e-9)
    assert state.vectors.shape == (13, min(rank, 13))


def test_the_approximation_is_kept_and_made_anew():
    optimizer = newton(refresh_every=2)
    model, first, _ = stepped(optimizer, MODEL)
    model, second, _ = stepped(optimizer, model, first, seed=1)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    model, third, _ = stepped(optimizer, model, second, seed=2)
    assert np.abs(third.vectors - second.vectors).max() > 1e-6


def test_armijo_holds_and_the_length_is_searched():
    optimizer = optimizers.get("nncg", damping=DAMPING, fraction=0.5)
    new, _, info = stepped(optimizer, MODEL)
    _, gradient = hessian_and_gradient(flat(MODEL))
    slope = gradient @ (flat(MODEL) - flat(new))
    actual = OBJECTIVE.loss(MODEL, BATCH) - OBJECTIVE.loss(new, BATCH)
    np.testing.assert_allclose(info.actual, actual, rtol=1e-9)
    assert actual >= 0.5 * slope > 0


def test_negative_curvature_is_followed_down_and_raises_the_damping():
    hessian, _ = hessian_and_gradient(flat(MODEL))
    lowest = np.linalg.eigvalsh(hessian)[0]
    assert lowest < -1e-2
    rule = LevenbergMarquardt(1e-6, factor=0.5)
    optimizer = newton(damping=rule, search=optimizers.Armijo(), rank=4)
    new, state, info = stepped(optimizer, MODEL)
    assert info.accepted
    assert OBJECTIVE.loss(new, BATCH) < OBJECTIVE.loss(MODEL, BATCH)
    assert state.damping == 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("adaption", ["fixed", "levenberg-marquardt"])
def test_a_small_pinn_converges_from_where_bfgs_left_it(adaption):
    """The start of its paper too is that of a quasi-Newton method."""
    objective = poisson_1d()
    model, _ = run(optimizers.get("bfgs"), network(6), objective, 60)
    optimizer, batch = optimizers.get("nncg", adaption=adaption), objective.batch()
    before = objective.loss(model, batch)
    model, _ = run(optimizer, model, objective, 150)
    assert objective.loss(model, batch) < 0.1 * before


def test_it_cites_its_paper():
    assert "2402.01868" in optimizers.citation("nncg")
