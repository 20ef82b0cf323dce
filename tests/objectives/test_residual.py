"""PINN residuals: the loss, its rows, and the ways to compute them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    Box,
    GaussLegendre,
    Interval,
    MonteCarlo,
    Residual,
    ResidualObjective,
    gradient,
    laplacian,
)
from pinn_ngd.models import MLP
from pinn_ngd.objectives.terms import list_of_terms

system_of = eqx.filter_jit(lambda target, u, batch: target.system(u, batch))


SQUARE = Box((0.0, 0.0), (1.0, 1.0))


def model(sizes=(2, 5, 1)):
    return MLP(sizes, key=jax.random.key(3), domain=SQUARE)


def nonlinear(chunk_size=None):
    """Scalar and vector terms, nonlinear in u, with weights."""
    return ResidualObjective(
        [
            Residual(
                lambda u, x: laplacian(u)(x) + u(x) ** 3 - x[0], GaussLegendre(SQUARE, 4), 2.0
            ),
            Residual(
                lambda u, x: gradient(u)(x) * u(x), GaussLegendre(SQUARE.boundary(), 3), 0.5, "edge"
            ),
        ],
        chunk_size=chunk_size,
    )


def test_loss_is_the_weighted_integral():
    """u = x exactly: 1/2 * 3 * int_0^1 x^2 dx = 1/2."""
    objective = ResidualObjective(
        [Residual(lambda u, x: u(x), GaussLegendre(Interval(0, 1), 2), 3.0)]
    )
    assert float(objective.loss(lambda x: x[0], objective.batch())) == pytest.approx(0.5, rel=1e-14)


def test_rows_equal_reverse_mode_of_the_whole_batch():
    objective, u = nonlinear(), model()
    batch = objective.batch()
    params, static = eqx.partition(u, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(params)

    def residual(q):
        return ravel_pytree(objective.residuals(eqx.combine(unravel(q), static), batch))[0]

    system = system_of(objective, u, batch)
    np.testing.assert_allclose(
        system.operator.as_matrix(), jax.jit(jax.jacrev(residual))(theta), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(ravel_pytree(system.target)[0], jax.jit(residual)(theta), rtol=1e-13)


def test_half_the_squared_target_is_the_loss_and_a_transpose_b_the_gradient():
    objective, u = nonlinear(), model()
    batch = objective.batch()
    system = system_of(objective, u, batch)
    params, static = eqx.partition(u, eqx.is_inexact_array)
    value, grads = jax.value_and_grad(lambda q: objective.loss(eqx.combine(q, static), batch))(
        params
    )
    target = ravel_pytree(system.target)[0]
    assert float(0.5 * target @ target) == pytest.approx(float(value), rel=1e-13)
    found = ravel_pytree(system.operator.T.mv(system.target))[0]
    np.testing.assert_allclose(found, ravel_pytree(grads)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("chunk_size", [1, 5, 16])
def test_chunks_change_nothing(chunk_size):
    u = model()
    batch = nonlinear().batch()
    whole, chunked = system_of(nonlinear(), u, batch), system_of(nonlinear(chunk_size), u, batch)
    np.testing.assert_allclose(
        chunked.operator.as_matrix(), whole.operator.as_matrix(), rtol=1e-12, atol=1e-13
    )


def test_matrix_free_operator_is_the_same_map():
    objective, u = nonlinear(5), model()
    batch = objective.batch()
    dense, free = system_of(objective, u, batch), objective.system(u, batch, matrix_free=True)
    v = jax.tree.map(jnp.ones_like, eqx.filter(u, eqx.is_inexact_array))
    np.testing.assert_allclose(
        ravel_pytree(free.operator.mv(v))[0], ravel_pytree(dense.operator.mv(v))[0], rtol=1e-11
    )
    np.testing.assert_allclose(
        ravel_pytree(free.operator.T.mv(free.target))[0],
        ravel_pytree(dense.operator.T.mv(dense.target))[0],
        rtol=1e-10,
        atol=1e-12,
    )


def test_reduction_keeps_digits_that_the_difference_of_losses_loses():
    objective = ResidualObjective(
        [Residual(lambda u, x: u(x) - 1.0, GaussLegendre(Interval(0, 1), 3))]
    )
    batch = objective.batch()
    tiny = 1e-13
    before = objective.evaluate(lambda x: 0 * x[0], batch)
    after = objective.evaluate(lambda x: tiny + 0 * x[0], batch)
    assert float(objective.reduction(before, after, None)) == pytest.approx(tiny, rel=1e-3)


def test_any_equinox_module_is_a_model():
    u = eqx.nn.MLP(2, "scalar", 5, 1, jnp.tanh, key=jax.random.key(0))
    matrix = system_of(nonlinear(), u, nonlinear().batch()).operator.as_matrix()
    assert matrix.shape == (16 + 12 * 2, 21)


TERM = Residual(lambda u, x: u(x), GaussLegendre(SQUARE, 2))


def test_resampling_follows_the_key():
    rule = MonteCarlo(SQUARE, 8)
    objective = ResidualObjective([Residual(lambda u, x: u(x), rule)])
    assert objective.resampled
    a, b = objective.batch(jax.random.key(0)), objective.batch(jax.random.key(1))
    assert not np.allclose(a[0].points, b[0].points)
    assert not nonlinear().resampled


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResidualObjective([]), "`terms` is empty: a ResidualObjective needs at least one"),
        (
            lambda: list_of_terms(TERM, Residual, "an X"),
            "`terms` is one Residual: an X takes a list",
        ),
        (lambda: list_of_terms(3, Residual, "an X"), "`terms` is a int: an X takes a list"),
        (
            lambda: list_of_terms([TERM, 3], Residual, "an X"),
            r"`terms\[1\]` is a int: an X takes Res",
        ),
        (lambda: Residual(lambda u, x: u(x), GaussLegendre(SQUARE, 2), -1.0), "must be positive"),
    ],
)
def test_bad_input_is_explained(build, message):
    with pytest.raises(ValueError, match=message):
        build()
