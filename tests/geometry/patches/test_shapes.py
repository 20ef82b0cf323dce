"""Curved domains: measures, the divergence theorem, exactness, membership, normals, in NumPy."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry import (
    Box,
    GaussLegendre,
    Interval,
    MonteCarlo,
    Patch,
    Patches,
    Sobol,
    SpaceTime,
    Trapezoid,
    annulus,
    ball,
    box_with_hole,
    curve,
    disk,
    ellipse,
    l_shape,
    polygon,
    sector,
    simplex,
    sphere,
    triangle,
)

ANGLES = np.arange(10) * math.pi / 5
STAR = np.where(np.arange(10) % 2 == 0, 1.0, 0.4)[:, None] * np.stack(
    [np.cos(ANGLES), np.sin(ANGLES)], axis=1
)
HOLES = [[(1, 1), (2, 1), (1, 2)], [(2.5, 2.5), (3, 2.5), (3, 3), (2.5, 3)]]
CHANNEL = box_with_hole(Box((0, 0), (2.2, 0.41)), (0.2, 0.2), 0.05)
CUBE = box_with_hole(Box((0, 0, 0), (1, 1, 2)), (0.5, 0.5, 0.5), 0.2)
DOMAINS = {
    "disk": (disk((1, 2), 2.0), 4 * math.pi),
    "ball": (ball(), 4 / 3 * math.pi),
    "ellipse": (ellipse((0, 1), (2, 1), 0.3), 2 * math.pi),
    "annulus": (annulus(), 0.75 * math.pi),
    "shell": (annulus((0, 0, 0), 0.5, 1), 7 / 6 * math.pi),
    "sector": (sector((0, 0), 2, 0.3, 5.0), 2 * 4.7),
    "l": (l_shape((1, 1), 2.0), 12.0),
    "triangle": (triangle((0, 0), (1, 0), (0, 2)), 1.0),
    "star": (polygon(STAR), 10 * 0.5 * 0.4 * math.sin(math.pi / 5)),
    "holes": (polygon([(0, 4), (4, 4), (4, 0), (0, 0)], HOLES), 16 - 0.75),
    "simplex": (simplex([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2)]), 1 / 3),
    "channel": (CHANNEL, 2.2 * 0.41 - 0.0025 * math.pi),
    "cube": (CUBE, 2 - 4 / 3 * math.pi * 0.008),
    "cylinder": (SpaceTime(Interval(0, 2), disk()), 2 * math.pi),
}
SURFACES = {
    "circle": (sphere((0, 0), 2.0), 4 * math.pi),
    "sphere": (sphere((1, 0, 0), 2.0), 16 * math.pi),
    "inner": (annulus().boundary("inner"), math.pi),
    "arc": (sector((0, 0), 2, 0.3, 5.0).boundary("arc"), 9.4),
    "lateral": (SpaceTime(Interval(0, 2), disk()).lateral(), 4 * math.pi),
}


def points_of(rule):
    found = rule.quadrature()
    normals = None if found.normals is None else np.asarray(found.normals)
    return np.asarray(found.points), np.asarray(found.weights), normals


@pytest.mark.parametrize(("domain", "measure"), DOMAINS.values(), ids=DOMAINS)
def test_the_divergence_theorem_holds_to_rounding(domain, measure):
    n = 14 if domain.dimension > 2 else 16
    x, w, none = points_of(GaussLegendre(domain, n))
    y, v, normals = points_of(GaussLegendre(domain.boundary(), n))
    inner = np.dot(w, np.cos(x + 0.3 * np.roll(x, -1, axis=1)).sum(axis=1))
    outer = np.dot(v, np.sum(np.sin(y + 0.3 * np.roll(y, -1, axis=1)) * normals, axis=1))
    assert none is None
    assert abs(inner - outer) < 1e-12 * (1 + abs(inner))
    assert domain.measure == pytest.approx(measure, rel=1e-13)
    assert w.sum() == pytest.approx(measure, rel=1e-12)
    assert domain.fills_space
    assert not domain.boundary().fills_space


@pytest.mark.parametrize(("domain", "_"), DOMAINS.values(), ids=DOMAINS)
def test_points_lie_inside_and_normals_are_unit_and_outward(domain, _):
    x, w, _ = points_of(GaussLegendre(domain, 4))
    y, v, normals = points_of(GaussLegendre(domain.boundary(), 3))
    assert w.min() > 0 < v.min()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=1e-14)
    h = 1e-4 * min(domain.extents)
    assert bool(jnp.all(domain.contains(x)))
    assert bool(jnp.all(domain.boundary().contains(y)))
    assert not bool(jnp.any(domain.contains(y + h * normals)))
    assert bool(jnp.all(domain.contains(y - h * normals)))
    assert not bool(jnp.any(domain.boundary().contains(y - h * normals)))
    assert np.all(x >= np.asarray(domain.lower) - 1e-3)
    assert np.all(x <= np.asarray(domain.upper) + 1e-3)


@pytest.mark.parametrize(("surface", "measure"), SURFACES.values(), ids=SURFACES)
def test_surfaces_have_their_measure(surface, measure):
    _, w, normals = points_of(GaussLegendre(surface, 14))
    assert surface.measure == pytest.approx(measure, rel=1e-13)
    assert w.sum() == pytest.approx(measure, rel=1e-11)
    np.testing.assert_allclose(np.sum(normals**2, axis=1), 1.0)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_gauss_rules_on_polygons_are_exact_to_degree_2n_minus_2(n):
    """One degree less than on boxes: the Jacobian of collapsed coordinates takes it."""
    x, w, _ = points_of(GaussLegendre(triangle((0, 0), (1, 0), (0, 1)), n))

    def error(p, q):
        exact = math.factorial(p) * math.factorial(q) / math.factorial(p + q + 2)
        return abs(np.dot(w, x[:, 0] ** p * x[:, 1] ** q) / exact - 1)

    assert max(error(p, 2 * n - 2 - p) for p in range(2 * n - 1)) < 1e-13
    assert max(error(p, 2 * n - p) for p in range(2 * n + 1)) > 1e-8


def test_gauss_rules_on_the_disk_converge_exponentially():
    def error(n):
        x, w, _ = points_of(GaussLegendre(disk(), n))
        return abs(np.dot(w, x[:, 0] ** 4 * x[:, 1] ** 2) * 64 / math.pi - 1)  # pi / 64

    assert error(12) < 1e-13
    assert error(4) > 100 * error(6) > 1e4 * error(9)


@pytest.mark.parametrize("rule", [MonteCarlo, Sobol])
@pytest.mark.parametrize("name", ["disk", "star", "shell", "cylinder"])
def test_sampled_points_weigh_the_determinant(rule, name):
    domain, measure = DOMAINS[name]
    x, w, _ = points_of(rule(domain, 1024, seed=1, resampled=False))
    assert len(x) == 1024
    assert bool(jnp.all(domain.contains(x[:64])))
    assert w.sum() == pytest.approx(measure, rel=0.05)
    y, _, normals = points_of(rule(domain.boundary(), 64, resampled=False))
    assert y.shape == normals.shape


@pytest.mark.parametrize("name", ["disk", "holes", "simplex", "cylinder"])
def test_coordinates_invert_the_map_and_halves_make_up_a_patch(name):
    for patch in DOMAINS[name][0].pieces[:3]:
        xi, _ = patch._gauss(4)
        np.testing.assert_allclose(patch.coordinates(patch.map(xi)), xi, atol=1e-7)
        for axis in patch.free_axes:
            lower, upper = (corner[axis] for corner in patch.corners)
            parts = (
                patch.half(axis, lower, 0.3 * upper + 0.7 * lower),
                patch.half(axis, 0.3 * upper + 0.7 * lower, upper),
            )
            assert sum(part.measure for part in parts) == pytest.approx(patch.measure)


def test_parts_of_the_boundary_have_names():
    assert annulus().names == ("inner", "outer")
    assert CHANNEL.boundary("hole").measure == pytest.approx(0.1 * math.pi)
    assert sector((0, 0), 2, 0.3, 5.0).boundary("start").measure == pytest.approx(2)
    assert [triangle((0, 0), (1, 0), (0, 2)).boundary(f"edge {i}").measure for i in range(3)] == (
        pytest.approx([1, math.sqrt(5), 2])
    )
    edges = l_shape().names
    assert edges == tuple(f"edge {i}" for i in range(6))
    low = simplex(np.eye(3, 2)[[2, 0, 1]]).boundary("face 1")
    assert bool(low.contains(np.asarray([0.0, 0.5])))
    left = CHANNEL.boundary().where(lambda x: x[0] < 1e-9)
    assert left.measure == pytest.approx(0.41)
    np.testing.assert_allclose(left.normal_at(np.asarray([0.0, 0.1])), [-1, 0], atol=1e-12)


def test_cylinders_over_curved_domains():
    cylinder = SpaceTime(Interval(0, 2), annulus())
    assert (cylinder.dimension, cylinder.lower) == (3, (0.0, -1.0, -1.0))
    x, _, normals = points_of(GaussLegendre(cylinder.initial(), 3))
    np.testing.assert_array_equal(x[:, 0], 0.0)
    np.testing.assert_allclose(normals, np.tile([-1.0, 0, 0], (len(x), 1)))
    x, _, normals = points_of(GaussLegendre(cylinder.lateral(), 3))
    np.testing.assert_allclose(normals[:, 0], 0.0)
    assert cylinder.final().measure == pytest.approx(0.75 * math.pi)
    assert cylinder.lateral().measure == pytest.approx(2 * 3 * math.pi)


def test_a_map_of_ones_own_and_a_curve():
    wavy = Patches(
        [Patch_of(lambda s: (s[0], s[1] * (1 + 0.2 * jnp.sin(2 * s[0]))), Box((0, 0), (3, 1)))]
    )
    exact = 3 + 0.1 * (1 - math.cos(6))
    assert wavy.measure == pytest.approx(exact, rel=1e-13)
    x, w, _ = points_of(GaussLegendre(wavy, 14))
    y, v, normals = points_of(GaussLegendre(wavy.boundary(), 14))
    assert np.dot(w, 2 * x[:, 0]) == pytest.approx(np.dot(v, y[:, 0] ** 2 * normals[:, 0]), 1e-12)
    assert bool(jnp.all(wavy.contains(x)))
    parabola = curve(lambda t: jnp.stack([t[0], t[0] ** 2]), 0.0, 1.0)
    assert parabola.measure == pytest.approx(math.sqrt(5) / 2 + math.asinh(2) / 4, rel=1e-12)
    np.testing.assert_allclose(parabola.normal_at(np.zeros(2)), [0, -1], atol=1e-12)
    ends = parabola.boundary()
    assert ends.measure == 2
    np.testing.assert_allclose(ends.normal_at(np.ones(2)), np.asarray([1, 2]) / math.sqrt(5))


def Patch_of(fn, box):
    from pinn_ngd.geometry import Patch

    return Patch(fn, box)


def test_regions_are_hashable_values():
    assert disk() == disk()
    assert hash(disk()) == hash(disk())
    assert disk() != disk((0, 0), 2.0)


def test_normals_are_known_where_a_side_of_the_reference_collapses():
    rule = Trapezoid(triangle((0, 0), (1, 0), (0, 1)).boundary(), 4).quadrature()
    np.testing.assert_allclose(np.linalg.norm(rule.normals, axis=1), 1.0, rtol=1e-12)
    total = np.asarray(rule.weights) @ np.asarray(rule.normals)
    np.testing.assert_allclose(total, 0.0, atol=1e-5)  # of a closed curve


def test_points_of_single_precision_lie_on_the_boundary_that_they_come_from():
    boundary = disk().boundary()
    points = np.asarray(GaussLegendre(boundary, 8).quadrature().points, np.float32)
    assert np.asarray(boundary.contains(points)).all()


def test_a_map_of_ones_own_is_compiled_for_few_sizes(monkeypatch):
    from pinn_ngd.geometry.patches import function_map

    sizes = set()
    compiled = function_map._compiled

    def counted(function, slopes):
        call = compiled(function, slopes)

        def at(points):
            sizes.add((slopes, len(points)))
            return call(points)

        return at

    monkeypatch.setattr(function_map, "_compiled", counted)
    half = Patches([Patch(lambda s: (s[0] * jnp.cos(s[1]), s[0] * jnp.sin(s[1])),
                          Box((0.5, 0.0), (1.0, 3.0)))])  # fmt: skip
    inside = GaussLegendre(half, 5).quadrature().points
    assert np.asarray(half.contains(inside)).all()
    assert half.measure == pytest.approx(3.0 * (1.0 - 0.25) / 2, rel=1e-12)
    assert len(sizes) <= 12
    assert all(size & (size - 1) == 0 for _, size in sizes)
