"""Wasserstein metrics without a factor: what is left of masses, types, slices, thin boxes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Grid
from pinn_ngd.metrics import Wasserstein

GRIDS = {
    "neumann": Grid(Box((0.0, 0.0), (1.0, 1.0)), (12, 9)),
    "periodic": Grid(Box((0.0, 0.0), (1.0, 1.0)), (12, 9), "periodic"),
    "dirichlet": Grid(Box((0.0, 0.0), (1.0, 1.0)), (12, 9), "dirichlet"),
    "slices": Grid(Box((0.0, 0.0), (1.0, 1.0)), (12, 9), decoupled=(1,)),
    "thin": Grid(Box((0.0, 0.0), (0.01, 1.0)), (4, 60)),
}


def case(grid, dtype=float):
    """A density, and a tangent whose mass is that of its rounding in single precision."""
    x = grid.points
    rho = jnp.exp(2 * jnp.cos(5 * x[:, 0]) * jnp.sin(4 * x[:, 1])).reshape(grid.shape)
    u = jnp.sin(7 * x[:, 0] + 3 * x[:, 1]).reshape(grid.shape) * rho
    u = u - rho * grid.totals(u) / grid.totals(rho)
    return (rho / grid.totals(rho)).astype(dtype), (u + 1e-8 * jnp.max(jnp.abs(u))).astype(dtype)


def flux(metric, grid, dtype=float):
    return jax.jit(lambda rho, u: metric.factor(grid, rho)(u))(*case(grid, dtype))


@pytest.mark.slow
@pytest.mark.parametrize("elliptic", ["multigrid", "cg"])
@pytest.mark.parametrize("name", GRIDS)
def test_what_rounding_left_of_a_mass_leaves_where_the_factor_lets_it(name, elliptic):
    grid = GRIDS[name]
    expected = flux(Wasserstein(elliptic="direct"), grid)
    found = flux(Wasserstein(elliptic=elliptic), grid)
    np.testing.assert_allclose(found, expected, atol=1e-7 * float(jnp.max(jnp.abs(expected))))


@pytest.mark.parametrize("boundary", ["neumann", "periodic", "dirichlet"])
def test_single_precision(boundary):
    grid = GRIDS[boundary]
    expected = flux(Wasserstein(elliptic="direct"), grid)
    found = flux(Wasserstein(elliptic="multigrid"), grid, jnp.float32)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-2 * float(jnp.max(jnp.abs(expected))))
