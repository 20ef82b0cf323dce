"""Lorenz-63: the numbers that the authors' notebook prints, and a derivative that passes a test."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import load_problem
from pinn_ngd.experiments import check_problem
from pinn_ngd.geometry.edges import EXTERIOR
from pinn_ngd.linalg import get_solver, solve
from pinn_ngd.metrics import Sobolev, Wasserstein

GRADIENT = (8.6778676441e-5, -2.0548347228e-5, -1.1794355020e-4)
L2_DIRECTION = (-1.06812e-3, 1.50138e-3, 5.70889e-3)
W2_DIRECTION = (-7.99052689e-09, 1.35758123e-08, 4.81962785e-08)


class AuthorsWasserstein(Wasserstein):
    """Central differences whose first and last rows are (1, 0, ...) and (..., 0, 1)."""

    def _edges(self, grid, rho):
        index = np.arange(grid.size).reshape(grid.shape)
        lefts, rights = [], []
        for axis, n in enumerate(grid.shape):
            left, right = (np.roll(index, shift, axis) for shift in (1, -1))
            at_end = np.isin(np.arange(n), (0, n - 1)).reshape(
                [-1 if a == axis else 1 for a in range(3)]
            )
            lefts.append(np.where(at_end, EXTERIOR, left).ravel())
            rights.append(np.where(at_end, index, right).ravel())
        edges = dataclasses.replace(
            grid.edges,
            left=np.concatenate(lefts),
            right=np.concatenate(rights),
            middle=np.tile(index.ravel(), 3),
            length=np.full(3 * grid.size, 2 * grid.spacing[0]),
            level=grid.edges.level // 2,
        )
        return edges, edges.density(rho) / edges.length**2

    def _closed(self, grid):
        del grid
        return False


@pytest.mark.slow
def test_the_authors_numbers():
    problem = load_problem("lorenz-63", authors=True)
    objective, model = problem.objective, problem.model(jax.random.key(0))
    gradient = eqx.filter_grad(lambda m: objective.loss(m, ()))(model)
    volume = objective.state.grid.cell_volume  # the authors leave it out
    np.testing.assert_allclose(np.array(jax.tree.leaves(gradient)) / volume, GRADIENT, rtol=1e-8)
    for metric, expected, rtol in (
        (Sobolev(), L2_DIRECTION, 1e-5),
        (AuthorsWasserstein(), W2_DIRECTION, 1e-6),
    ):
        step = solve(metric.system(objective, model, ()), get_solver("qr")).value
        found = -np.array(jax.tree.leaves(step))
        np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.slow
def test_products_and_the_stored_jacobian_give_one_direction():
    problem = load_problem("lorenz-63")
    model = problem.model(jax.random.key(0))
    stored = solve(Sobolev().system(problem.objective, model, ()), get_solver("qr")).value
    free = Sobolev().system(problem.objective, model, (), matrix_free=True)
    found = solve(free, get_solver("lsmr")).value
    a, b = (np.array(jax.tree.leaves(x)) for x in (stored, found))
    assert 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) < 1e-10


@pytest.mark.slow
def test_the_consistent_derivative_passes_and_the_published_one_does_not():
    assert all(check.passed for check in check_problem(load_problem("lorenz-63")))
    failed = [
        c.name for c in check_problem(load_problem("lorenz-63", authors=True)) if not c.passed
    ]
    assert len(failed) == 1
    assert "Taylor" in failed[0]


def test_the_state_is_a_density_and_a_singular_operator_is_an_error():
    problem = load_problem("lorenz-63")
    state, model = problem.objective.state, problem.model(jax.random.key(0))
    rho = state(model)
    assert rho.min() > 0
    np.testing.assert_allclose(rho.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(state.residual(rho, model), 0, atol=1e-16)
    broken = eqx.tree_at(lambda s: s.inverses, state, lambda *_: (lambda b: b * jnp.nan,) * 2)
    with pytest.raises(eqx.EquinoxRuntimeError, match="singular"):
        jax.block_until_ready(eqx.filter_jit(lambda m: broken.jacobian(m))(model))
