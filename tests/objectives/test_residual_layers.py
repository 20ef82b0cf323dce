"""Kronecker blocks of residual terms: where they are dense blocks, and what K-FAC has for data."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    FiniteElements,
    Interval,
    Residual,
    ResidualObjective,
    WeakResidual,
    laplacian,
)
from pinn_ngd.linalg import Kronecker, KroneckerSum, kronecker_blocks
from pinn_ngd.models import MLP
from pinn_ngd.objectives import (
    Batch,
    ClassificationObjective,
    Generated,
    check_pointwise,
    layerwise_system,
)

DOMAIN = Box((0.0, 0.0), (1.0, 1.0))
POINTS = np.random.default_rng(0).uniform(size=(6, 2))


@eqx.filter_jit
def blocks_of(objective, model, batch):
    system = layerwise_system(objective, model, batch)
    return kronecker_blocks(system.operator), system.operator.as_matrix()


def network(key):
    return MLP((2, 4, 3, 1), key=key, domain=DOMAIN)


def test_without_derivatives_the_factors_are_those_of_kfac_for_data(key):
    model = network(key)
    objective = ResidualObjective([Residual(lambda u, x: u(x) - x[0], POINTS)])
    found, _ = blocks_of(objective, model, objective.batch())
    regression = ClassificationObjective(Generated(lambda _: None), loss="squared")
    batch = Batch(jnp.asarray(POINTS), jnp.asarray(POINTS[:, :1]))
    system = eqx.filter_jit(lambda m: regression.system(m, batch).operator)(model)
    expected = kronecker_blocks(system)
    for one, other in zip(found.blocks, expected.blocks, strict=True):
        assert isinstance(one, Kronecker)
        np.testing.assert_allclose(one.right, other.right, rtol=1e-12)
        np.testing.assert_allclose(one.left, other.left, rtol=1e-12)


def test_blocks_of_single_points_are_those_of_gauss_newton(key):
    """One point and one use of the weight in each of two terms: sums of two exact products."""
    terms = [
        Residual(lambda u, x: u(x) ** 2 - 1, POINTS[:1], 3.0),
        Residual(lambda u, x: u(x) - x[0], POINTS[1:2], 10.0),
    ]
    objective, model = ResidualObjective(terms), network(key)
    found, rows = blocks_of(objective, model, objective.batch())
    assert all(isinstance(block, KroneckerSum) for block in found.blocks)
    dense, matrix = np.asarray(rows.T @ rows), np.asarray(found.as_matrix())
    ends = np.cumsum([0, 12, 15, 4])  # weight and bias of each layer follow one another
    for start, stop in itertools.pairwise(ends):
        block = slice(start, stop)
        np.testing.assert_allclose(matrix[block, block], dense[block, block], rtol=1e-11)


def test_a_block_is_that_of_the_forward_laplacian(key):
    """A second layer s = W z + b, whose channels (s, s_1, s_2, Laplace s) are written by hand."""
    objective = ResidualObjective([Residual(lambda u, x: laplacian(u)(x), POINTS)])
    model = network(key)
    found, _ = blocks_of(objective, model, objective.batch())
    first, second, last = model.layers

    def head(s, slopes, curved):
        t = jnp.tanh(s)
        bend = (1 - t**2) * (curved - 2 * t * jnp.sum(slopes**2, axis=1))
        return (last.weight @ bend)[0]

    def channels(x):
        def inner(x):
            return jnp.tanh(first(x))

        z, slopes, curved = inner(x), jax.jacfwd(inner)(x), laplacian(inner)(x)
        outer = second(z), second.weight @ slopes, second.weight @ curved
        cotangents = jax.grad(head, argnums=(0, 1, 2))(*outer)
        parts = [(z[:, None], slopes, curved[:, None]), cotangents]
        a, g = (jnp.concatenate([p.reshape(len(p), -1) for p in part], axis=1) for part in parts)
        return head(*outer), a, g

    values, a, g = jax.jit(jax.vmap(channels))(jnp.asarray(POINTS))
    np.testing.assert_allclose(values, jax.vmap(laplacian(model))(jnp.asarray(POINTS)), rtol=1e-10)
    a = jnp.concatenate([a, jnp.broadcast_to(jnp.eye(4)[:1], (6, 1, 4))], axis=1)  # of the bias
    block = found.blocks[1]
    np.testing.assert_allclose(block.right, jnp.einsum("nic,njc->ij", a, a) / 6, rtol=1e-10)
    expected = jnp.einsum("nic,njc->ij", g, g) / 6 / 4  # points weigh 1/6 each, four channels
    np.testing.assert_allclose(block.left, expected, rtol=1e-10)


def test_a_term_without_points_of_its_own_is_refused():
    line = Interval(0.0, 1.0)
    term = WeakResidual(lambda u, x: (u(x), 0.0 * x), FiniteElements(line, 4), name="weak")
    with pytest.raises(ValueError, match="'weak' is a WeakResidual, whose numbers"):
        check_pointwise(ResidualObjective([term]))
