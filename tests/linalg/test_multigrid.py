"""The multigrid cycle: what it approximates, its symmetry, and that size does not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Grid, Interval
from pinn_ngd.linalg import Diffusion, Multigrid

GRIDS = {
    "line": Grid(Interval(0.0, 1.0), (13,)),
    "square": Grid(Box((0.0, 0.0), (1.0, 2.0)), (6, 9)),
    "square, outside zero": Grid(Box((0.0, 0.0), (1.0, 1.0)), (7, 6), "dirichlet"),
    "torus": Grid(Box((0.0, 0.0), (1.0, 1.0)), (7, 8), "periodic"),
    "slices": Grid(Box((0.0, 0.0), (1.0, 1.0)), (3, 8), decoupled=(0,)),
    "cube": Grid(Box((0.0,) * 3, (1.0, 1.0, 3.0)), (4, 3, 5)),
}


def diffusion(grid: Grid, growth: float = 0.0, contrast: float = 1e2) -> Diffusion:
    """Conductances of a density that varies by so much."""
    waves = jnp.prod(jnp.cos(9 * grid.points), axis=1)
    w = grid.edges.density(jnp.exp(0.5 * np.log(contrast) * waves)) / grid.edges.length**2
    extra = growth * jnp.ones(grid.shape)
    return Diffusion(grid.faces(w), extra, grid.coupled, grid.boundary == "periodic")


def matrix(function, grid: Grid) -> np.ndarray:
    unit = jnp.eye(grid.size)
    columns = jax.vmap(lambda e: function(e.reshape(grid.shape)).ravel())
    return np.asarray(jax.jit(columns)(unit)).T


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_it_is_the_graph_laplacian_of_the_edges(name):
    grid = GRIDS[name]
    found = matrix(diffusion(grid, 0.3).apply, grid)
    difference = matrix(grid.edges.gradient, grid)
    density = np.exp(0.5 * np.log(1e2) * np.prod(np.cos(9 * np.asarray(grid.points)), axis=1))
    weights = np.asarray(grid.edges.density(jnp.asarray(density)))
    expected = difference.T @ (weights[:, None] * difference) + 0.3 * np.eye(grid.size)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(diffusion(grid, 0.3).diagonal().ravel(), np.diag(expected))


@pytest.mark.parametrize("name", GRIDS)
def test_a_cycle_is_symmetric_and_near_the_inverse(name):
    """On what is not in the kernel the eigenvalues of the cycle times K are around one."""
    grid = GRIDS[name]
    system = diffusion(grid)
    cycle = matrix(Multigrid(system, grid.spacing), grid)
    np.testing.assert_allclose(cycle, cycle.T, atol=1e-12 * np.abs(cycle).max())
    values, vectors = np.linalg.eigh(matrix(system.apply, grid))
    kept = values > 1e-9 * values[-1]
    assert (~kept).sum() == (grid.slices if grid.has_constants else 0)
    root = vectors[:, kept] * np.sqrt(values[kept])
    eigenvalues = np.linalg.eigvalsh(root.T @ cycle @ root)
    assert eigenvalues.min() > 0.1
    assert eigenvalues.max() < 2.5


@pytest.mark.parametrize("boundary", ["neumann", "periodic"])
@pytest.mark.slow
def test_iterations_do_not_grow_with_the_grid(boundary):
    """Conjugate gradients to 1e-10, for densities that vary by 1e4."""

    def iterations(n: int) -> int:
        grid = Grid(Box((0.0, 0.0), (1.0, 1.0)), (n, n), boundary)
        system = diffusion(grid, contrast=1e4)
        cycle = Multigrid(system, grid.spacing)
        charge = jax.random.normal(jax.random.key(0), grid.shape)
        charge = charge - jnp.mean(charge)

        def step(carry):
            x, r, p, old, count = carry
            image = system.apply(p)
            length = old / jnp.vdot(p, image)
            x, r = x + length * p, r - length * image
            z = cycle(r)
            new = jnp.vdot(r, z)
            return x, r, z + new / old * p, new, count + 1

        def going(carry):
            return jnp.linalg.norm(carry[1].ravel()) > 1e-10 * jnp.linalg.norm(charge.ravel())

        z = cycle(charge)
        start = (jnp.zeros_like(charge), charge, z, jnp.vdot(charge, z), 0)
        return int(jax.lax.while_loop(going, step, start)[-1])

    few, many = iterations(24), iterations(96)
    assert many < 1.5 * few < 45
