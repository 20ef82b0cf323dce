"""Domains: measures, faces, outward normals, hashability, and errors which say the cure."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry.domains import Boundary, Box, Face, Interval, SpaceTime

SQUARE = Box((0, -1), (2, 3))
CYLINDER = SpaceTime(Interval(0, 0.5), Box((-1, 0), (1, 3)))


def test_interval():
    interval = Interval(-1, 3)
    assert (interval.dimension, interval.volume, interval.diameter) == (1, 4.0, 4.0)
    assert (interval.lower, interval.upper) == ((-1.0,), (3.0,))


def test_box():
    box = Box(np.asarray([0, 0, 0]), [1, 2, 2])
    assert (box.dimension, box.volume, box.measure, box.diameter) == (3, 4.0, 4.0, 3.0)
    assert box.extents == (1.0, 2.0, 2.0)


def test_time_comes_first():
    assert CYLINDER.lower == (0.0, -1.0, 0.0)
    assert CYLINDER.upper == (0.5, 1.0, 3.0)
    assert CYLINDER.volume == pytest.approx(3.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contains_is_closed_and_batched(dtype):
    points = np.asarray([[[0, -1], [2, 3]], [[1, 0], [2.01, 0]]], dtype=dtype)
    inside = SQUARE.contains(jnp.asarray(points))
    np.testing.assert_array_equal(inside, [[True, True], [True, False]])


def test_boundary_of_an_interval_is_two_points():
    left, right = Interval(-1, 3).boundary().faces
    assert (left.value, left.normal, left.measure) == (-1.0, (-1.0,), 1.0)
    assert (right.value, right.normal, right.measure) == (3.0, (1.0,), 1.0)
    np.testing.assert_array_equal(right.embed(np.zeros((1, 0))), [[3.0]])


def test_boundary_measure_is_the_derivative_of_the_volume():
    # Growing the box by h on every side changes the volume by h times the surface, to first order.
    h = 1e-6
    box = Box((0, 0, 0), (1, 2, 3))
    grown = Box((-h, -h, -h), (1 + h, 2 + h, 3 + h))
    assert (grown.volume - box.volume) / h == pytest.approx(box.boundary().measure, rel=1e-5)


@pytest.mark.parametrize("domain", [Interval(1, 2), SQUARE, CYLINDER])
def test_normals_point_outward(domain):
    center = 0.5 * (np.asarray(domain.lower) + np.asarray(domain.upper))
    for face in domain.boundary().faces:
        middle = 0.5 * (np.asarray(face.lower) + np.asarray(face.upper))
        point = face.embed(middle[None])
        assert face.contains(point).all()
        assert domain.contains(point).all()
        assert not domain.contains(point + 1e-3 * np.asarray(face.normal)).any()
        assert np.dot(face.normal, point[0] - center) > 0
        assert math.hypot(*face.normal) == 1.0


def test_initial_final_and_lateral_make_the_boundary():
    faces = {CYLINDER.initial(), CYLINDER.final(), *CYLINDER.lateral().faces}
    assert faces == set(CYLINDER.boundary().faces)
    assert CYLINDER.initial().value == 0.0
    assert CYLINDER.initial().normal == (-1.0, 0.0, 0.0)
    assert CYLINDER.final().value == 0.5
    assert CYLINDER.initial().measure == pytest.approx(6.0)
    assert CYLINDER.lateral().measure == pytest.approx(0.5 * 10.0)


def test_embed_inserts_the_fixed_axis():
    face = Face(1, 7.0, lower=(0, 0), upper=(1, 1), sign=1)
    points = jnp.asarray([[0.1, 0.2]])
    np.testing.assert_array_equal(face.embed(points), [[0.1, 7.0, 0.2]])
    assert not face.contains(jnp.asarray([0.1, 7.1, 0.2]))


def test_normal_at_finds_the_face():
    boundary = SQUARE.boundary()
    points = jnp.asarray([[0.0, 1.0], [2.0, 1.0], [1.0, -1.0], [1.0, 3.0]])
    normals = jax.jit(jax.vmap(boundary.normal_at))(points)
    np.testing.assert_array_equal(normals, [[-1, 0], [1, 0], [0, -1], [0, 1]])
    np.testing.assert_array_equal(boundary.contains(points), [True] * 4)
    assert not boundary.contains(jnp.asarray([1.0, 1.0]))


def test_domains_are_static_hashable_values():
    again = SpaceTime(Interval(0.0, 0.5), Box([-1, 0], [1, 3]))
    assert again == CYLINDER
    assert hash(again) == hash(CYLINDER)
    assert hash(again.boundary()) == hash(CYLINDER.boundary())
    assert CYLINDER.space != SQUARE
    assert jax.tree.leaves((CYLINDER, CYLINDER.boundary(), SQUARE, Interval(0, 1))) == []


def test_domain_passes_through_jit_as_a_field():
    class Holder(eqx.Module):
        domain: Box

    assert jax.jit(lambda holder: holder)(Holder(SQUARE)).domain == SQUARE


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Interval(1, 1), "`lower` = 1.0 is not below .* swapped"),
        (lambda: Interval(0, math.inf), "`b` = .* not finite.*Truncate"),
        (lambda: Interval(math.nan, 1), "`a` = .* not finite"),
        (lambda: Box((0, 0), (1,)), "dimensions differ.*every axis"),
        (lambda: Box((0, 2), (1, 1)), "on axis 1"),
        (lambda: Box((), ()), "at least one axis"),
        (lambda: Boundary(()), "`faces` is empty.*at least one"),
        (lambda: Boundary((*SQUARE.boundary().faces, CYLINDER.initial())), "same domain"),
        (lambda: Face(2, 0.0, lower=(0,), upper=(1,), sign=1), "`axis` = 2"),
        (lambda: Face(0, 0.0, lower=(0,), upper=(1,), sign=0), r"`sign` = 0.*\+1 or -1"),
        (lambda: SQUARE.contains(jnp.zeros((5, 3))), r"`points` has shape \(5, 3\)"),
        (lambda: CYLINDER.initial().embed(np.zeros((5, 3))), r"`points` has shape \(5, 3\)"),
    ],
)
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_time_must_be_an_interval():
    with pytest.raises(TypeError):
        SpaceTime(Box((0,), (1,)), Interval(0, 1))  # pyright: ignore[reportArgumentType]
