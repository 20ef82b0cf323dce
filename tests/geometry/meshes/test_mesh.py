"""Meshes: exactness, the divergence theorem, membership, names, cylinders, and points that grow."""

import time

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    GaussLegendre,
    Halton,
    Interval,
    Mesh,
    MonteCarlo,
    Residual,
    ResidualObjective,
    Sobol,
    SpaceTime,
    Trapezoid,
)
from pinn_ngd.experiments.problem import evaluation_points
from pinn_ngd.validation.mesh import enriched, refined, rules_of, starting_mesh
from tests.geometry.meshes.helpers import cube

MESHES = {
    "segments": Mesh(*cube(1, 7, shift=0.3)),
    "triangles": Mesh(*cube(2, 5, shift=0.3)),
    "quads": Mesh(*cube(2, 4, simplices=False, shift=0.3)),
    "tetrahedra": Mesh(*cube(3, 3, shift=0.2)),
    "hexahedra": Mesh(*cube(3, 2, simplices=False, shift=0.2)),
    "mixed": Mesh(
        [(0, 0), (1, 0), (1, 1), (0, 1), (2, 0)], {"quad": [(0, 1, 2, 3)], "triangle": [(1, 2, 4)]}
    ),
}
EXACT = {"mixed": 1.5}


def points_of(rule):
    found = rule.quadrature()
    normals = None if found.normals is None else np.asarray(found.normals)
    return np.asarray(found.points), np.asarray(found.weights), normals


@pytest.mark.parametrize("name", MESHES)
def test_the_divergence_theorem_holds_to_rounding(name):
    mesh = MESHES[name]
    x, w, none = points_of(GaussLegendre(mesh, 7))
    y, v, normals = points_of(GaussLegendre(mesh.boundary(), 7))
    inner = np.dot(w, np.cos(x + 0.3 * np.roll(x, -1, axis=1)).sum(axis=1))
    if mesh.dimension == 1:
        inner = np.dot(w, 1.3 * np.cos(1.3 * x[:, 0]))
    outer = np.dot(v, np.sum(np.sin(y + 0.3 * np.roll(y, -1, axis=1)) * normals, axis=1))
    assert none is None
    assert abs(inner - outer) < 1e-12
    assert mesh.measure == pytest.approx(EXACT.get(name, 1.0), rel=1e-13)
    assert mesh.fills_space
    assert not mesh.boundary().fills_space


@pytest.mark.parametrize("name", MESHES)
def test_points_lie_inside_and_normals_are_unit_and_outward(name):
    mesh = MESHES[name]
    x, w, _ = points_of(GaussLegendre(mesh, 3))
    y, _, normals = points_of(GaussLegendre(mesh.boundary(), 2))
    assert w.min() > 0
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=1e-14)
    assert bool(jnp.all(mesh.contains(x)))
    assert bool(jnp.all(mesh.contains(mesh.points)))
    assert bool(jnp.all(mesh.boundary().contains(y)))
    assert not bool(jnp.any(mesh.contains(y + 1e-4 * normals)))
    assert bool(jnp.all(mesh.contains(y - 1e-4 * normals)))
    assert not bool(jnp.any(mesh.boundary().contains(y - 1e-4 * normals)))
    for patch in mesh.pieces:
        xi, _ = patch._gauss(2)
        np.testing.assert_allclose(patch.map(patch.coordinates(patch.map(xi))), patch.map(xi))


@pytest.mark.parametrize(("name", "loss"), [("triangles", 2), ("tetrahedra", 3), ("quads", 1)])
@pytest.mark.parametrize("n", [2, 3])
def test_gauss_rules_are_exact_to_their_degree_and_no_further(name, loss, n):
    """2 n - 1, less one for every collapsed axis; on quadrilaterals det J takes a degree too."""
    x, w, _ = points_of(GaussLegendre(MESHES[name], n))
    degree = 2 * n - loss

    def error(p):
        return abs(np.dot(w, x[:, 0] ** p) * (p + 1) - 1)

    if name == "quads":  # of distorted ones the images of polynomials are of both variables
        degree = 2 * n - 2
    assert max(error(p) for p in range(degree + 1)) < 1e-13
    assert error(degree + 3) > 1e-9


def test_smooth_integrands_converge_with_the_order_of_the_rule():
    def error(n, rule):
        x, w, _ = points_of(GaussLegendre(Mesh(*cube(2, n)), rule))
        return abs(np.dot(w, np.exp(x[:, 0] + 2 * x[:, 1])) - (np.e - 1) * (np.e**2 - 1) / 2)

    assert np.log2(error(2, 2) / error(4, 2)) == pytest.approx(3, abs=0.3)  # degree 2
    assert np.log2(error(2, 3) / error(4, 3)) == pytest.approx(5, abs=0.3)  # degree 4


def test_orientation_is_corrected_and_equal_meshes_are_equal():
    points, cells = cube(2, 3)
    turned = cells.copy()
    turned[::2] = turned[::2, [0, 2, 1]]
    assert Mesh(points, turned).cells.blocks[0][1].shape == cells.shape
    mesh = Mesh(points, turned)
    p = mesh.points[mesh.cells.blocks[0][1]]
    assert np.all(np.linalg.det(np.diff(p, axis=1)) > 0)
    assert Mesh(points, cells) == Mesh(points.copy(), cells.copy())
    assert hash(Mesh(points, cells)) == hash(Mesh(points.copy(), cells.copy()))
    assert Mesh(points, cells) != Mesh(2 * points, cells)


def test_regions_and_parts_of_the_boundary_have_names():
    points, cells = cube(2, 4)
    left = points[cells].mean(axis=1)[:, 0] < 0.5
    bottom = [(i * 5, (i + 1) * 5) for i in range(4)]
    mesh = Mesh(
        points,
        cells,
        regions={"left": left, "first": [0, 1]},
        boundaries={"bottom": bottom, "right": lambda x: x[0] > 1 - 1e-9},
    )
    assert mesh.names == ("bottom", "right")
    assert mesh.region_names == ("left", "first")
    assert mesh.region("left").measure == pytest.approx(0.5)
    assert mesh.region("first").measure == pytest.approx(1 / 16)
    y, v, normals = points_of(GaussLegendre(mesh.boundary("bottom"), 2))
    assert v.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(y[:, 1], 0.0, atol=1e-15)
    np.testing.assert_allclose(normals, np.tile([0.0, -1.0], (len(y), 1)), atol=1e-14)
    np.testing.assert_allclose(mesh.boundary("right").normal_at(np.asarray([1.0, 0.3])), [1, 0])
    upper = mesh.where(lambda x: x[1] > 0.5)
    assert upper.measure == pytest.approx(0.5)
    assert upper.boundary().measure == pytest.approx(3.0)
    assert mesh.boundary().where(lambda x: x[0] < 1e-9).measure == pytest.approx(1.0)


def test_a_surface_in_space_has_right_handed_normals():
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    signs = [(a, b, c) for a in (0, 3) for b in (1, 4) for c in (2, 5)]
    faces = [f if sum(i > 2 for i in f) % 2 == 0 else (f[1], f[0], f[2]) for f in signs]
    surface = Mesh(octahedron, np.asarray(faces))
    x, w, normals = points_of(GaussLegendre(surface, 2))
    assert surface.measure == pytest.approx(4 * np.sqrt(3))
    assert np.dot(w, np.sum(x * normals, axis=1)) / 3 == pytest.approx(4 / 3)  # its volume
    with pytest.raises(ValueError, match="no boundary with normals"):
        surface.boundary()


def test_cylinders_over_meshes():
    cylinder = SpaceTime(Interval(0, 2), MESHES["triangles"])
    x, w, _ = points_of(GaussLegendre(cylinder, (4, 3, 3)))
    assert len(x) == GaussLegendre(cylinder, (4, 3, 3)).size == 50 * 36
    assert np.dot(w, x[:, 0] ** 3 * x[:, 1] ** 2) == pytest.approx(4 / 3, rel=1e-13)
    assert bool(jnp.all(cylinder.contains(x)))
    x, w, normals = points_of(GaussLegendre(cylinder.initial(), 2))
    np.testing.assert_allclose(normals, np.tile([-1.0, 0, 0], (len(x), 1)), atol=1e-12)
    x, w, normals = points_of(GaussLegendre(cylinder.lateral(), 2))
    assert np.dot(w, np.sum(x * normals, axis=1)) == pytest.approx(4.0)
    bar = SpaceTime(Interval(0, 2), MESHES["segments"])
    assert points_of(GaussLegendre(bar.lateral(), 3))[1].sum() == pytest.approx(4.0)


@pytest.mark.parametrize("rule", [MonteCarlo, Sobol, Halton])
def test_random_points_are_uniform_in_a_mesh_however_many_cells_it_has(rule):
    mesh = MESHES["tetrahedra"]
    x, w, _ = points_of(rule(mesh, 128, seed=1, resampled=False))
    assert len(x) == 128 < 162
    assert bool(jnp.all(mesh.contains(x)))
    assert w.sum() == pytest.approx(1.0, rel=0.25)  # weights are |det J| of collapsed cells
    assert np.dot(w, x[:, 0]) == pytest.approx(0.5, rel=0.3)


def test_rules_with_points_at_the_ends_of_cells_stay_in_their_cells():
    x, w, _ = points_of(Trapezoid(MESHES["segments"], 2))
    ends = np.sort(MESHES["segments"].points[:, 0])
    np.testing.assert_allclose(np.sort(x[:, 0]), np.sort([*ends[:-1], *ends[1:]]), atol=1e-12)
    assert w.sum() == pytest.approx(1.0)
    y, _, normals = points_of(Trapezoid(MESHES["tetrahedra"].boundary(), 2))
    assert np.all(np.min(np.minimum(np.abs(y), np.abs(1 - y)), axis=1) < 1e-9)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segments", "triangles", "tetrahedra"])
def test_points_grow_where_the_residual_is(name):
    mesh = MESHES[name]
    rule = GaussLegendre(mesh, 2)
    objective = ResidualObjective([Residual(lambda u, x: u(x), rule)])
    held, cells = rule.held_out(), starting_mesh(objective)
    assert rules_of(objective, cells) == (rule,)
    assert len(cells[0]) == min(16, mesh.cells.count)
    x = np.asarray(held.quadrature().points)
    mass = np.exp(-80 * np.sum(x**2, axis=1))
    near, far = 0, 0
    for _ in range(4):
        cells = refined(objective, cells, [x], [mass])
        (new,) = rules_of(objective, cells)
        y, w, _ = points_of(new)
        assert w.sum() == pytest.approx(1.0, rel=1e-12)
        assert new.held_out() is not None
    near, far = (np.sum(np.all((y < 0.3) == inside, axis=1)) for inside in (True, False))
    before = np.asarray(rule.quadrature().points)
    near_before = np.sum(np.all(before < 0.3, axis=1))
    far_before = np.sum(np.all(before >= 0.3, axis=1))
    assert near / near_before > 1.5 * far / far_before
    (more,) = rules_of(objective, enriched(objective, starting_mesh(objective)))
    assert more.size > 1.4 * rule.size


def test_thousands_of_cells_cost_no_loop():
    begun = time.process_time()
    mesh = Mesh(*cube(2, 100))
    rule = GaussLegendre(mesh, 2)
    assert rule.size == 80_000
    assert float(rule.quadrature().weights.sum()) == pytest.approx(1.0)
    assert time.process_time() - begun < 20  # a loop over the cells takes minutes


def test_points_of_evaluation_are_some_ten_thousand():
    sizes = {name: evaluation_points(mesh).weights.size for name, mesh in MESHES.items()}
    assert sizes.pop("segments") == 7 * 401
    assert 9_000 < min(sizes.values()) <= max(sizes.values()) < 25_000
    assert evaluation_points(Mesh(*cube(2, 40))).weights.size == 12_800


SQUARE, TWO = cube(2, 1)
FLAT = np.column_stack([SQUARE, np.zeros(4)])[:, [0, 2]]
HANGING = [(0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0), (0.5, -1)]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Mesh(FLAT, TWO), "has no volume: all of its cells are flat, so give"),
        (lambda: Mesh(SQUARE, [(0, 1, 3), (0, 0, 1)]), "cell 1 .* has no volume.*leave it out"),
        (lambda: Mesh(SQUARE, [(0, 1, 9)]), "cell 0 names the point 9, which is missing: .*4"),
        (lambda: Mesh(SQUARE, [(0, 1, -1)]), "names the point -1"),
        (lambda: Mesh(SQUARE, [(0.0, 1.0, 3.0)]), "float64: give whole numbers"),
        (lambda: Mesh(SQUARE, np.zeros((0, 3), int)), "give at least one"),
        (lambda: Mesh(SQUARE, [(0, 1, 2, 3, 0)]), "give numbers of points"),
        (lambda: Mesh(SQUARE, [(0, 1, 2, 3)]), "folds over itself"),
        (lambda: Mesh(SQUARE, {"wedge": [(0, 1, 2)]}), "kind 'wedge' are not known: give line"),
        (lambda: Mesh(SQUARE, {"tetra": [(0, 1, 2, 3)]}), "need 3 coordinates"),
        (lambda: Mesh(SQUARE, {"line": [(0, 1)], "triangle": TWO}), "of one dimension"),
        (lambda: Mesh([(0, np.nan)], [(0, 0)]), "finite numbers"),
        (lambda: Mesh(SQUARE, TWO, regions={"a": [5]}), "'a' names cells that are missing"),
        (lambda: Mesh(SQUARE, TWO, boundaries={"a": 0.5}), "'a' is given as an array"),
        (lambda: Mesh(SQUARE, TWO).region("steel"), "unknown region of the mesh 'steel'"),
        (lambda: Mesh(SQUARE, TWO).boundary("in"), "unknown part of the boundary 'in'"),
        (
            lambda: Mesh(SQUARE, TWO, boundaries={"a": [(0, 3)]}).boundary("a"),
            "1 of the facets called 'a' are not on the boundary",
        ),
        (lambda: Mesh(SQUARE, TWO).where(lambda x: x[0] > 5), "center of no cell"),
        (lambda: Mesh(SQUARE, [*TWO, *TWO]).boundary(), "4 cells share the facet"),
        (
            lambda: Mesh(HANGING, {"quad": [(0, 1, 2, 3)], "triangle": [(0, 5, 4)]}).boundary(),
            "do not fit together",
        ),
        (lambda: Mesh(SQUARE, TWO).contains(np.zeros(3)), r"`points` has shape \(3,\)"),
        (lambda: Mesh(SQUARE, TWO).boundary().normal_at(np.full(2, 0.5)), "lies on no boundary"),
    ],
)  # fmt: skip
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_one_end_of_a_line_has_its_own_normal():
    points, cells = np.linspace(0, 1, 5)[:, None], [[i, i + 1] for i in range(4)]
    line = Mesh(points, cells, boundaries={"right": [[4]], "left": [[0]]})
    for name, normal in (("right", 1.0), ("left", -1.0)):
        rule = GaussLegendre(line.boundary(name), 1).quadrature()
        np.testing.assert_array_equal(rule.normals, [[normal]])


def test_blocks_of_one_kind_are_all_taken():
    points = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    two = Mesh(points, [("triangle", [[0, 1, 2]]), ("triangle", [[0, 2, 3]])])
    assert two.measure == pytest.approx(1.0)
