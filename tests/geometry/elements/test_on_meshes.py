"""Test functions on meshes: their span, their Gram matrix, and where they vanish."""

import numpy as np
import pytest

from pinn_ngd import (
    Box,
    FiniteElements,
    GaussLegendre,
    Interval,
    Mesh,
    SpaceTime,
    disk,
    read_mesh,
)
from pinn_ngd.geometry.elements.lobatto import lobatto_nodes
from pinn_ngd.geometry.elements.simplex import simplex_lagrange, simplex_nodes
from tests.geometry.meshes.helpers import cube

MIXED = Mesh(
    [(0, 0), (1, 0), (1, 1), (0, 1), (2, 0)], {"quad": [(0, 1, 2, 3)], "triangle": [(1, 2, 4)]}
)
TRIANGLES = cube(2, 3, shift=0.3)
NAMED = Mesh(
    *TRIANGLES, boundaries={"left": lambda x: x[0] < 1e-9, "right": lambda x: x[0] > 1 - 1e-9}
)


def gram_of(quadrature):
    factor = np.asarray(quadrature.tests.factor)
    return factor @ factor.T


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("degree", [1, 2, 5])
def test_polynomials_of_a_simplex_reproduce_those_of_their_degree(dimension, degree):
    """p = (1 + a . x)^degree from its values at the nodes, on the simplex v_j = e_1 + ... + e_j."""
    a, unit = np.arange(1.0, dimension + 1), np.random.default_rng(0).random((6, dimension))
    corners = np.tril(np.ones((dimension + 1, dimension)), -1)
    nodes, x = simplex_nodes(degree, dimension) @ corners, np.cumprod(unit, axis=1)
    found = simplex_lagrange(degree, unit)
    np.testing.assert_allclose(
        found[..., 0] @ (1 + nodes @ a) ** degree, (1 + x @ a) ** degree, rtol=1e-11
    )
    step = 1e-6
    for axis in range(dimension):  # derivatives in the coordinates of the box
        ends = [unit + sign * step * np.eye(dimension)[axis] for sign in (1, -1)]
        up, down = (simplex_lagrange(degree, end)[..., 0] for end in ends)
        np.testing.assert_allclose(found[..., 1 + axis], (up - down) / (2 * step), atol=1e-7)


def test_nodes_on_an_edge_are_those_of_boxes():
    nodes = simplex_nodes(5, 3)
    edge = nodes[(nodes[:, 2] == 0) & (nodes[:, 3] == 0)]
    np.testing.assert_allclose(np.sort(edge[:, 0]), lobatto_nodes(5), atol=1e-15)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_gram_matrix_of_hats_is_the_stiffness_matrix(dimension):
    """Of hats with the gradients g_i on a simplex the entries are |T| g_i . g_j, known exactly."""
    points, cells = cube(dimension, 2, shift=0.3)
    stiffness = np.zeros((len(points),) * 2)
    for cell in cells:
        matrix = np.column_stack([np.ones(dimension + 1), points[cell]])
        gradients = np.linalg.inv(matrix)[1:]
        volume = abs(np.linalg.det(matrix)) / np.prod(np.arange(1, dimension + 1))
        stiffness[np.ix_(cell, cell)] += volume * gradients.T @ gradients
    inner = np.all((points > 0) & (points < 1), axis=1)
    found = FiniteElements(Mesh(points, cells)).quadrature()
    assert found.tests.count == inner.sum() == 1
    np.testing.assert_allclose(gram_of(found), stiffness[np.ix_(inner, inner)], rtol=1e-12)
    # With a Dirichlet part alone, the same entries in another order: equal spectra.
    mesh = Mesh(points, cells, boundaries={"low": lambda x: x[0] < 1e-9})
    free = points[:, 0] > 0
    found = gram_of(FiniteElements(mesh, zero_on="low").quadrature())
    expected = stiffness[np.ix_(free, free)]
    np.testing.assert_allclose(
        np.linalg.eigvalsh(found), np.linalg.eigvalsh(expected), rtol=1e-11, atol=1e-13
    )


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize(
    ("mesh", "domain"),
    [
        (Mesh(*cube(1, 4)), Interval(0.0, 1.0)),
        (Mesh(*cube(2, 4, simplices=False)), Box((0.0, 0.0), (1.0, 1.0))),
        (Mesh(*cube(3, 4, simplices=False)), Box((0.0,) * 3, (1.0,) * 3)),
    ],
)
def test_cells_of_a_mesh_and_of_a_box_have_the_same_functions(mesh, domain, degree):
    if degree == 3 and domain.dimension == 3:
        degree, mesh = 2, Mesh(*cube(3, 2, simplices=False))
    cells = round(mesh.cells.count ** (1 / domain.dimension))
    ours, others = (
        gram_of(elements.quadrature())
        for elements in (FiniteElements(mesh, 1, degree), FiniteElements(domain, cells, degree))
    )
    np.testing.assert_allclose(np.linalg.eigvalsh(ours), np.linalg.eigvalsh(others), rtol=1e-10)


@pytest.mark.parametrize(
    ("mesh", "degree", "zero_on", "count"),
    [
        (NAMED, 1, None, 16),
        (NAMED, 3, None, 100),  # (3 * 3 + 1)^2 nodes
        (NAMED, 3, "boundary", 64),
        (NAMED, 1, "left", 12),
        (NAMED, 1, ["left", "right"], 8),
        (NAMED, 1, NAMED.boundary("left"), 12),
        (Mesh(*cube(3, 2, shift=0.2)), 2, "boundary", 27),
        (MIXED, 1, None, 5),
        (MIXED, 3, None, 16 + 10 - 4),
    ],
)
def test_functions_of_neighbors_are_one(mesh, degree, zero_on, count):
    elements = FiniteElements(mesh, 1, degree, zero_on=zero_on)
    quadrature = elements.quadrature()
    assert quadrature.tests.count == count
    assert elements.size == len(quadrature.points)
    np.testing.assert_allclose(quadrature.weights.sum(), mesh.measure, rtol=1e-12)
    if zero_on is None:  # all together they are one, on triangles and quadrilaterals
        total = np.asarray(quadrature.tests.values).sum(axis=2)
        np.testing.assert_allclose(total[..., 0], 1, rtol=1e-12)
        np.testing.assert_allclose(total[..., 1:], 0, atol=1e-10)


def test_a_part_of_a_patch_has_a_name_too():
    whole, part = (FiniteElements(disk(), 2, zero_on=name) for name in ("boundary", "outer"))
    np.testing.assert_array_equal(*(e.quadrature().tests.factor for e in (whole, part)))


@pytest.mark.parametrize("mesh", [NAMED, MIXED])
def test_functions_at_points_of_the_boundary_are_those_of_the_cells(mesh):
    """sum_i p(x_i) v_i = p for a polynomial p, inside and on the surface: its coefficients follow
    from the values inside."""

    def p(x):
        return 1 + x[:, 0] ** 2 - 3 * x[:, 0] * x[:, 1]

    rule = GaussLegendre(mesh.boundary(), 3)
    found = FiniteElements(mesh, 1, 2, zero_on=None, surfaces=[rule]).quadrature()
    tests, (surface,) = found.tests, found.tests.surfaces
    inside = np.zeros((len(found.points), tests.count + 1))
    values = np.asarray(tests.values)[..., 0]
    rows = np.arange(len(found.points)).reshape(values.shape[:2])
    np.add.at(inside, (rows[:, :, None], np.asarray(tests.dofs)[:, None, :]), values)
    coefficients = np.linalg.lstsq(inside[:, :-1], p(np.asarray(found.points)), rcond=None)[0]
    at = np.append(coefficients, 0.0)[np.asarray(surface.dofs)]
    on_surface = np.sum(at * np.asarray(surface.values), axis=1)
    np.testing.assert_allclose(on_surface, p(np.asarray(surface.quadrature.points)), atol=1e-11)


def test_a_mesh_from_a_file_keeps_its_names(tmp_path):
    meshio = pytest.importorskip("meshio")
    points, cells = TRIANGLES
    facets = np.asarray([(i, i + 1) for i in range(3)])  # x = 0, in the order of `cube`
    file = meshio.Mesh(
        points,
        [("triangle", cells), ("line", facets)],
        cell_sets={"left": [np.zeros(0, int), np.arange(3)]},
    )
    file.write(tmp_path / "square.inp")
    mesh = read_mesh(tmp_path / "square.inp")
    found, expected = (FiniteElements(m, zero_on="left").quadrature() for m in (mesh, NAMED))
    np.testing.assert_allclose(gram_of(found), gram_of(expected), atol=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FiniteElements(NAMED, 4), "a mesh has its own"),
        (lambda: FiniteElements(NAMED.boundary(), 1), "test functions live on a domain"),
        (
            lambda: FiniteElements(SpaceTime(Interval(0.0, 1.0), NAMED), 1),
            "not made on a cylinder over a mesh",
        ),
        (lambda: FiniteElements(NAMED, zero_on="top").quadrature(), "take one of left, right"),
        (
            lambda: FiniteElements(Interval(0.0, 1.0), 4, zero_on="left").quadrature(),
            "no part of it has a name",
        ),
        (
            lambda: FiniteElements(NAMED, zero_on=Interval(3.0, 4.0)).quadrature(),
            "no test function lives on a part of `zero_on`",
        ),
        (lambda: FiniteElements(Mesh(*cube(2, 1))).quadrature(), "no test function is left"),
    ],
)
def test_bad_input_is_explained(build, message):
    with pytest.raises(ValueError, match=message):
        build()
