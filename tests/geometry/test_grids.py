"""Grids: points, difference operators, and functions of the Laplacian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Grid, Interval
from pinn_ngd.geometry import grids

BOUNDARIES = ("neumann", "dirichlet", "periodic")
SHAPES = ((7,), (6, 5), (4, 3, 5))


def box(dimension):
    return Box((-1.0,) * dimension, tuple(1.0 + i for i in range(dimension)))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_functions_of_the_laplacian_agree_with_its_matrix(shape, boundary):
    grid = Grid(box(len(shape)), shape, boundary)
    gradient = jax.vmap(grid.edges.gradient, out_axes=1)(jnp.eye(grid.size))
    laplacian = gradient.T @ gradient
    values, vectors = jnp.linalg.eigh(laplacian)
    field = jax.random.normal(jax.random.key(0), shape)
    for function in (lambda v: v, lambda v: (1 + v) ** 0.7, lambda v: jnp.exp(-0.1 * v)):
        expected = vectors @ (function(values) * (vectors.T @ field.ravel()))
        found = grid.spectral(field, function)
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-11 * jnp.abs(expected).max())


@pytest.mark.parametrize("n", [5, 6, 31, 300])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_fast_transforms_are_orthonormal_and_diagonalize(boundary, n):
    basis = jax.vmap(lambda x: grids.fast_coefficients(x, boundary), out_axes=1)(jnp.eye(n))
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), atol=1e-13)
    grid = Grid(Interval(0.0, 2.0), (n,), boundary)
    gradient = np.asarray(jax.vmap(grid.edges.gradient, out_axes=1)(jnp.eye(n)))
    values = grids.eigenvalues_1d(n, grid.spacing[0], boundary, fast=True)
    expected = basis.T @ (values[:, None] * basis)
    error = np.abs(gradient.T @ gradient - expected).max()
    assert error < 1e-13 * values.max()


@pytest.mark.slow
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_long_axes_agree_with_dense_modes(boundary, monkeypatch):
    """In single precision too, along one of two axes, and transposed."""
    grid = Grid(box(2), (300, 3), boundary)
    field = jnp.asarray(np.random.default_rng(0).normal(size=grid.shape))

    def root(field):
        return grid.spectral(field, lambda v: (1 + v) ** -0.5)

    fast, turned = root(field), jax.linear_transpose(root, field)(field)[0]
    single = root(field.astype(jnp.float32))
    monkeypatch.setattr(grids, "FAST", 1000)
    dense = root(field)
    np.testing.assert_allclose(fast, dense, atol=1e-14)
    np.testing.assert_allclose(turned, dense, atol=1e-14)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, dense, atol=1e-6)


def test_a_long_axis_has_no_square_of_its_points():
    grid = Grid(Interval(0.0, 1.0), (10_000,))
    run = jax.jit(lambda u: grid.spectral(u, lambda v: (1 + v) ** 0.5))
    memory = run.lower(jnp.zeros(10_000)).compile().memory_analysis()
    assert memory.temp_size_in_bytes + memory.generated_code_size_in_bytes < 10_000 * 8 * 100
    x = jnp.asarray(grid.axes[0])
    wave = jnp.cos(40 * jnp.pi * x)  # an eigenvector
    value = (2e4 * np.sin(20 * np.pi / 1e4)) ** 2
    np.testing.assert_allclose(run(wave), (1 + value) ** 0.5 * wave, atol=1e-9)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_laplacian_converges_at_second_order(boundary):
    functions = {
        "neumann": (lambda x: jnp.cos(jnp.pi * x), 1.0),
        "dirichlet": (lambda x: jnp.sin(jnp.pi * x), 1.0),
        "periodic": (lambda x: jnp.sin(2 * jnp.pi * x + 1), 4.0),
    }
    function, factor = functions[boundary]
    errors = []
    for n in (20, 40, 80):
        grid = Grid(Interval(0.0, 1.0), (n,), boundary)
        u = function(jnp.asarray(grid.axes[0]))
        errors.append(jnp.abs(grid.spectral(u, lambda v: v) - factor * jnp.pi**2 * u).max())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 2.0, atol=0.1)


def test_points_and_weights():
    grid = Grid(Box((0.0, 1.0), (1.0, 3.0)), (2, 4))
    assert grid.points.shape == (8, 2)
    np.testing.assert_allclose(grid.points[0], [0.25, 1.25])
    np.testing.assert_allclose(grid.cell_volume * grid.size, 2.0)
    nodes = Grid(Interval(0.0, 1.0), (3,), "dirichlet")
    np.testing.assert_allclose(nodes.axes[0], [0.25, 0.5, 0.75])


def test_central_differences_are_exact_for_parabolas_and_refuse_odd_grids():
    grid = Grid(Box((0.0, 0.0), (1.0, 1.0)), (6, 8), "dirichlet")
    x, y = grid.points.T
    gradient = grid.central_edges.gradient((x**2 + 3 * y).reshape(grid.shape))
    inner = np.zeros(grid.shape, bool)
    inner[1:-1, 1:-1] = True
    np.testing.assert_allclose(gradient[: grid.size][inner.ravel()], 2 * x[inner.ravel()])
    np.testing.assert_allclose(gradient[grid.size :][inner.ravel()], 3.0)
    with pytest.raises(ValueError, match="checkerboard"):
        _ = Grid(Box((0.0, 0.0), (1.0, 1.0)), (5, 7), "dirichlet").central_edges


@pytest.mark.parametrize(
    ("shape", "boundary", "message"),
    [((3,), "neumann", "number of points"), ((3, 1), "neumann", "at least 2")],
)
def test_bad_grids_are_refused(shape, boundary, message):
    with pytest.raises(ValueError, match=message):
        Grid(box(2), shape, boundary)


def test_central_differences_ask_coupled_axes_only():
    grid = Grid(Box((0.0, 0.0), (1.0, 1.0)), (5, 4), "dirichlet", decoupled=(1,))
    with pytest.raises(ValueError, match="checkerboard"):
        _ = grid.central_edges


def test_totals_are_those_of_slices():
    field = jnp.arange(24.0).reshape(2, 3, 4)
    grid = Grid(box(3), (2, 3, 4), decoupled=(1,))
    assert grid.slices == 3
    np.testing.assert_array_equal(grid.totals(field), np.sum(field, axis=(0, 2), keepdims=True))
    assert Grid(box(1), (4,)).slices == 1
