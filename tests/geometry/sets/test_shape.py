"""Unions, intersections and differences: measures, points, boundaries, rules, in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, GaussLegendre, Halton, Interval, MonteCarlo, Shape, Sobol, SpaceTime, disk
from pinn_ngd.experiments.problem import evaluation_points

BALL, SQUARE = Shape.ball((0, 0), 1.0), Shape.box((0, 0), (2, 2))
LENS = 2 * math.pi / 3 - math.sqrt(3) / 2  # of two unit disks at a distance of 1
SHAPES = {
    "disk": (BALL, math.pi, 2 * math.pi),
    "union": (BALL | SQUARE, 4 + 0.75 * math.pi, 6 + 1.5 * math.pi),
    "quarter": (BALL & SQUARE, math.pi / 4, 2 + math.pi / 2),
    "difference": (SQUARE - BALL, 4 - math.pi / 4, 6 + math.pi / 2),
    "lens": (BALL & Shape.ball((1, 0), 1.0), LENS, 4 * math.pi / 3),
    "half": (BALL & Shape.half_space((0, 0), (3, 0)), math.pi / 2, 2 + math.pi),
    "polygon": (Shape.polygon([(0, 0), (0, 3), (1, 1), (3, 0)]), 3.0, 6 + 2 * math.sqrt(5)),
    "ball": (Shape.ball((0, 0, 1), 1.0), 4 / 3 * math.pi, 4 * math.pi),
    "ellipse": (
        Shape(lambda x: x[0] ** 2 / 4 + x[1] ** 2 - 1, (-2, -1), (2, 1)),
        2 * math.pi,
        9.68844822,
    ),
    "box without a disk": (Box((-2, -2), (2, 2)) - BALL, 16 - math.pi, 16 + 2 * math.pi),
}
CASES = pytest.mark.parametrize(("shape", "measure", "length"), SHAPES.values(), ids=SHAPES)


@CASES
def test_estimated_measures_lie_within_their_standard_errors(shape, measure, length):
    assert abs(shape.measure - measure) < 4 * shape.measure_error + 1e-12
    assert shape.measure_error < 2e-3 * measure
    edge = shape.boundary()
    # Corners are rounded in the shell: an error of first order in its thickness.
    assert abs(edge.measure - length) < 4 * edge.measure_error + 5e-3 * length
    assert shape.fills_space
    assert not edge.fills_space


@CASES
def test_points_lie_inside_and_normals_are_unit_and_outward(shape, measure, length):
    inside = Sobol(shape, 256).quadrature()
    x = np.asarray(inside.points)
    assert bool(jnp.all(shape.contains(x)))
    assert float(inside.weights.sum()) == pytest.approx(measure, rel=1e-2)
    found = Sobol(shape.boundary(), 128).quadrature()
    y, normals = np.asarray(found.points), np.asarray(found.normals)
    assert float(found.weights.sum()) == pytest.approx(length, rel=2e-2)
    assert bool(jnp.all(shape.boundary().contains(y)))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=1e-12)
    outside = np.asarray(shape.contains(y + 1e-5 * normals))
    assert outside.mean() == 0
    assert np.asarray(shape.contains(y - 1e-5 * normals)).mean() > 0.95  # but in corners


@pytest.mark.parametrize("name", ["difference", "ellipse", "ball"])
def test_the_divergence_theorem_holds_to_the_accuracy_of_the_points(name):
    shape = SHAPES[name][0]
    edge = Sobol(shape.boundary(), 2**12).quadrature()
    y, v, normals = (np.asarray(a) for a in (edge.points, edge.weights, edge.normals))
    volume = np.dot(v, np.sum(y * normals, axis=1)) / shape.dimension
    assert volume == pytest.approx(SHAPES[name][1], rel=2e-2)


@pytest.mark.parametrize("rule", [MonteCarlo, Sobol, Halton])
def test_rules_are_held_out_halved_and_grown_as_elsewhere(rule):
    shape = SHAPES["difference"][0]
    made = rule(shape, 200, seed=3, resampled=False)
    x = np.asarray(made.quadrature().points)
    assert x.shape == (200, 2) == (made.size, 2)
    held = made.held_out()
    others = {tuple(p) for p in np.asarray(held.quadrature().points).tolist()}
    assert held.size > 400
    assert others.isdisjoint(tuple(p) for p in x.tolist())
    halves = made.halved(0, 1.5)
    weights = sum(float(half.quadrature().weights.sum()) for half in halves)
    assert weights == pytest.approx(shape.measure, abs=6 * shape.measure_error)
    assert made.grown(1.5).size == 300
    if rule is Sobol:
        np.testing.assert_array_equal(made.grown(1.5).quadrature().points[:200], x)
    drawn = rule(shape, 16, resampled=True)
    one, two = (drawn.quadrature(jax.random.key(i)).points for i in (0, 1))
    assert not np.array_equal(one, two)


def test_quasi_random_points_integrate_better_than_random_ones():
    def error(rule, n):
        rules = [rule(BALL, n, seed=seed, resampled=False) for seed in range(8)]
        values = [float(r.quadrature().integrate(lambda x: x[0] ** 2)) for r in rules]
        return np.sqrt(np.mean((np.asarray(values) - math.pi / 4) ** 2))

    assert error(Sobol, 1024) < 0.4 * error(MonteCarlo, 1024)


def test_a_part_of_a_boundary_and_a_cylinder():
    shape = SHAPES["difference"][0]
    arc = shape.boundary().where(lambda x: x[0] ** 2 + x[1] ** 2 < 1.0 + 1e-6)
    found = Sobol(arc, 64).quadrature()
    assert arc.measure == pytest.approx(math.pi / 2, rel=2e-2)
    np.testing.assert_allclose(np.asarray(found.normals), -np.asarray(found.points), atol=1e-8)
    cylinder = SpaceTime(Interval(1, 3), BALL)
    inside = Sobol(cylinder, 64).quadrature()
    assert float(inside.weights.sum()) == pytest.approx(2 * math.pi, rel=1e-2)
    assert bool(jnp.all(cylinder.contains(inside.points)))
    side = Sobol(cylinder.lateral(), 64).quadrature()
    np.testing.assert_allclose(side.normals[:, 0], 0.0)
    np.testing.assert_allclose(side.normals[:, 1:], side.points[:, 1:], atol=1e-8)
    assert float(side.weights.sum()) == pytest.approx(4 * math.pi, rel=2e-2)
    start = Sobol(cylinder.initial(), 64).quadrature()
    np.testing.assert_allclose(start.points[:, 0], 1.0)
    np.testing.assert_allclose(start.normals[:, 0], -1.0)
    assert bool(jnp.all(cylinder.initial().contains(start.points)))


def test_points_of_evaluation_and_equality():
    points = evaluation_points(BALL)
    assert points.weights.size == 2**13
    assert Shape.ball((0, 0), 1.0) == BALL
    assert hash(Shape.ball((0, 0), 1.0)) == hash(BALL)
    np.testing.assert_allclose(BALL.boundary().normal_at(np.asarray([0.0, 1.0])), [0, 1])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: BALL & Shape.ball((5, 0), 1.0), "the set is empty: its box.*overlap"),
        (lambda: Sobol(BALL - Shape.ball((0, 0), 2.0), 8), "the set is empty: none of 65536"),
        (lambda: Sobol(Shape(lambda x: x[0] ** 2 + 1, (0,), (1,)), 8), "negative inside"),
        (lambda: Shape.half_space((0, 0), (1, 0)).measure, "not bounded: intersect"),
        (lambda: Shape.half_space((0, 0), (0, 0)), "has no direction"),
        (lambda: Shape.ball((0, 0), -1.0), "no length"),
        (lambda: Shape.polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "intersects itself"),
        (lambda: BALL | Shape.ball((0, 0, 0), 1.0), "2 and 3 dimensions: combine"),
        (lambda: GaussLegendre(BALL, 4), "no patches to put a tensor rule on: take Sobol"),
        (lambda: BALL.contains(np.zeros(3)), r"`points` has shape \(3,\)"),
        (lambda: BALL.boundary().normal_at(np.zeros(2)), "lies on no boundary"),
        (lambda: Shape(lambda x: x, (0, 0), (1, 1)).measure, "returns 2 numbers at a point"),
        (lambda: Shape(np.sin, (0, 0), (1, 1)).measure, "`distance` calls NumPy"),
        (lambda: Sobol(BALL.boundary().where(lambda x: x[0] > 5), 8), "the set is empty"),
    ],
)  # fmt: skip
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="has no signed distance: combine shapes"):
        BALL - disk()
    with pytest.raises(TypeError, match="`distance` must be a function"):
        Shape(3, (0, 0), (1, 1))


@pytest.mark.parametrize(
    ("shape", "length", "inner"),
    [
        (SQUARE - Shape.box((1, 1), (2, 2)), 8.0, (2.0, 1.5)),
        (Shape.box((0, 0), (1, 1)) | Shape.box((1, 0), (2, 1)), 6.0, (1.0, 0.5)),
    ],
    ids=["L", "two boxes"],
)
def test_a_face_that_two_sets_share_is_no_boundary(shape, length, inner):
    edge = shape.boundary()
    assert abs(edge.measure - length) < 4 * edge.measure_error + 2e-2 * length
    assert not bool(edge.contains(jnp.asarray(inner)))


def test_a_part_of_a_boundary_contains_its_own_points_only():
    right = BALL.boundary().where(lambda x: x[0] > 0)
    found = right.contains(jnp.asarray([[1.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_array_equal(found, [True, False])


def test_a_boundary_is_not_cut_where_nothing_of_it_is_left():
    rules = [Sobol(BALL.boundary(), 16)]
    for _ in range(3):  # into the lower left corner of the box, where no point of the circle is
        for axis in (0, 1):
            halves = rules[-1].halved(axis, 1.5)
            if halves is None:
                return
            rules.append(halves[0])
    raise AssertionError("an empty half was kept")
