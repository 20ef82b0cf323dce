"""Block Cholesky of graph Laplacians against dense solves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Grid
from pinn_ngd.linalg import factor_laplacian, ordering


def system(boundary, shape, decades, central=False):
    grid = Grid(Box((0.0,) * len(shape), (1.0,) * len(shape)), shape, boundary)
    edges = grid.central_edges if central else grid.edges
    logs = jax.random.uniform(jax.random.key(0), (len(edges.left),), minval=-decades, maxval=0.0)
    weights = 10.0**logs
    difference = jax.vmap(edges.difference, out_axes=1)(jnp.eye(grid.size))
    return edges, weights, difference.T @ (weights[:, None] * difference)


@pytest.mark.parametrize("shape", [(9,), (5, 7), (3, 5, 4)])
@pytest.mark.parametrize("boundary", ["neumann", "dirichlet", "periodic"])
@pytest.mark.slow
def test_potentials_solve_the_equation(boundary, shape):
    edges, weights, matrix = system(boundary, shape, decades=3)
    factor = factor_laplacian(ordering(edges.level, edges.left, edges.right), weights)
    charges = jax.random.normal(jax.random.key(1), (4, matrix.shape[0]))
    if boundary != "dirichlet":  # no charge can leave
        charges = charges - charges.mean(1, keepdims=True)
    potentials = jax.vmap(factor.solve)(charges)
    scale = jnp.abs(matrix).max() * jnp.abs(potentials).max()
    np.testing.assert_allclose(potentials @ matrix, charges, atol=1e-12 * float(scale))


@pytest.mark.slow
def test_central_differences_decouple_into_components():
    edges, weights, matrix = system("dirichlet", (6, 8), 2, central=True)
    order = ordering(edges.level, edges.left, edges.right)
    assert len(order.components) == 4
    charge = jax.random.normal(jax.random.key(1), (48,))
    potential = factor_laplacian(order, weights).solve(charge)
    np.testing.assert_allclose(potential, jnp.linalg.solve(matrix, charge), rtol=1e-8)


def test_a_path_of_conductances_has_the_closed_solution():
    """The flux through an edge is the charge behind it, even over twenty decades of conductance."""
    n = 30
    weights = 10.0 ** -jnp.abs(jnp.linspace(-20.0, 20.0, n - 1))
    left = np.arange(n - 1)
    order = ordering(np.arange(n), left, left + 1)
    bulk = jnp.concatenate([jnp.minimum(weights[:1], 1), weights])
    charge = bulk * jnp.where(jnp.arange(n) % 2 == 0, 1.0, 0.4)
    charge = charge.at[n // 2].add(-charge.sum())
    flux = weights * jnp.diff(factor_laplacian(order, weights).solve(charge))
    before = -jnp.cumsum(charge)[: n // 2]
    after = jnp.cumsum(charge[::-1])[: n - n // 2 - 1][::-1]
    np.testing.assert_allclose(flux, jnp.concatenate([before, after]), rtol=1e-9)


@pytest.mark.slow
def test_the_solve_is_its_own_transpose_and_differentiable_in_the_weights():
    edges, weights, _ = system("dirichlet", (3, 4), 1)
    order = ordering(edges.level, edges.left, edges.right)
    u, v = jax.random.normal(jax.random.key(2), (2, 12))

    def product(w):
        return v @ factor_laplacian(order, w).solve(u)

    factor = factor_laplacian(order, weights)
    np.testing.assert_allclose(product(weights), u @ factor.solve(v), rtol=1e-12)
    slope = jax.grad(product)(weights)
    drops = edges.difference(factor.solve(u)) * edges.difference(factor.solve(v))
    np.testing.assert_allclose(slope, -drops, rtol=1e-9, atol=1e-12)


def test_levels_that_edges_skip_are_refused():
    with pytest.raises(ValueError, match="two levels apart"):
        ordering(np.arange(3), np.array([0]), np.array([2]))
