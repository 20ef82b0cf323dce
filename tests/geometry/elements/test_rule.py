import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, FiniteElements, GaussLegendre, Interval, Patch, Patches, disk, l_shape
from pinn_ngd.geometry.elements.lobatto import lagrange, lobatto_nodes

LINE = Interval(0.0, 1.0)
SQUARE = Box((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize("degree", [1, 2, 5, 12])
def test_lagrange_polynomials_reproduce_every_polynomial_of_their_degree(degree):
    nodes, x = np.asarray(lobatto_nodes(degree)), np.linspace(0, 1, 7)
    values, slopes = lagrange(degree, x)
    np.testing.assert_allclose(values @ nodes**degree, x**degree, atol=1e-13)
    np.testing.assert_allclose(slopes @ nodes**degree, degree * x ** (degree - 1), atol=1e-11)


@pytest.mark.parametrize(
    ("domain", "zero_on", "count"),
    [
        (LINE, "boundary", 4 * 3 - 1),
        (LINE, None, 4 * 3 + 1),
        (LINE, LINE.boundary().faces[0], 4 * 3),
        (SQUARE, "boundary", 11**2),
        (SQUARE, SQUARE.boundary().faces[0], 12 * 13),
        # three squares with two inner edges
        (l_shape(), "boundary", 3 * 11**2 + 2 * 11),
        # Euler's formula for 720 quadrilaterals with 48 edges on the boundary
        (disk(), "boundary", 1 + (4 * 720 + 48) // 2 - 720 - 48),
    ],
)
def test_functions_of_neighbors_are_one(domain, zero_on, count):
    quadrature = FiniteElements(domain, 4, 3, zero_on=zero_on).quadrature()
    assert quadrature.tests.count == count
    np.testing.assert_allclose(quadrature.weights.sum(), domain.measure, rtol=1e-12)


def test_all_functions_together_are_one_and_have_no_gradient():
    tests = FiniteElements(disk(), 2, 3, zero_on=None).quadrature().tests
    total = np.asarray(tests.values).sum(axis=2)
    np.testing.assert_allclose(total[..., 0], 1, rtol=1e-13)
    np.testing.assert_allclose(total[..., 1:], 0, atol=1e-11)


def test_gram_matrix_of_hats_is_tridiagonal():
    n = 5
    factor = np.asarray(FiniteElements(LINE, n).quadrature().tests.factor)
    expected = n * (2 * np.eye(n - 1) - np.eye(n - 1, k=1) - np.eye(n - 1, k=-1))
    np.testing.assert_allclose(factor @ factor.T, expected, atol=1e-12)


def test_functions_at_points_of_a_surface_interpolate():
    """sum_i x_i v_i = x, with the nodes x_i, is seen at points of a curve through the patches."""
    domain = Patches([Interval(0.0, 0.3), Interval(0.3, 1.0)])
    places = np.asarray([[0.1], [0.3], [0.77]])
    elements = FiniteElements(domain, 3, 2, zero_on=None, surfaces=[places])
    tests = elements.quadrature().tests
    surface = tests.surfaces[0]
    np.testing.assert_allclose(surface.values.sum(axis=1), 1, rtol=1e-13)
    # The interface point belongs to a function of both patches.
    assert set(np.asarray(surface.dofs[1])) & set(np.asarray(tests.dofs[3]))


def test_held_out_and_grown_functions_are_of_higher_degree_on_the_same_cells():
    rule = FiniteElements(
        SQUARE, (2, 3), 2, zero_on=None, surfaces=[GaussLegendre(SQUARE.boundary().faces[1], 4)]
    )
    finer = rule.held_out(1.6)
    assert (finer.cells, finer.degree, finer.surfaces[0].n) == ((2, 3), 4, (8, 8))
    grown = rule.grown(1.5)
    assert (grown.degree, grown._points()) == (3, 7)
    assert rule.size == rule.quadrature().weights.size == 2 * 3 * 5**2


def test_unit_of_length_scales_a_norm_without_boundary_values():
    """(grad v, grad w) + (v, w) / diameter^2 is the same on every scale, but for its size."""
    small, large = (
        np.asarray(FiniteElements(Interval(0.0, s), 3, zero_on=None).quadrature().tests.factor)
        for s in (1.0, 100.0)
    )
    np.testing.assert_allclose(small, 10 * large, rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FiniteElements(SQUARE.boundary(), 4), "test functions live on a domain"),
        (lambda: FiniteElements(LINE, 4, 0), "`degree` = 0 is too low"),
        (lambda: FiniteElements(LINE, 0), "`cells` = 0"),
        (lambda: FiniteElements(SQUARE, (2, 2, 2)), "2 entries of `cells`"),
        (lambda: FiniteElements(LINE, 2.5), "no whole number"),
        (lambda: FiniteElements(LINE, 1).quadrature(), "no test function is left"),
        (
            lambda: FiniteElements(LINE, 4, coefficient=lambda x: -x[0]).quadrature(),
            "must return one positive number",
        ),
        (
            lambda: FiniteElements(LINE, 4, surfaces=[np.ones((1, 1)) * 2]).quadrature(),
            "lies outside the domain",
        ),
    ],
)
def test_bad_input_is_explained(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_one_dimensional_patch_with_a_map():
    domain = Patches([Patch(lambda s: jnp.exp(s), Interval(0.0, 1.0))])
    quadrature = FiniteElements(domain, 4, 2, points=10).quadrature()
    total = quadrature.integrate(lambda x: 1 / x[0])
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert jax.tree.leaves(quadrature)[0].shape[1] == 1
