"""Properties of any patch, mesh or set: exact quadrature, membership, and normals."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pinn_ngd import Box, GaussLegendre, Mesh, Shape, Sobol, annulus, disk, ellipse, polygon
from tests.geometry.meshes.helpers import cube

few = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
sizes = st.floats(0.3, 3.0)
places = st.floats(-2.0, 2.0)
angles = st.floats(0.0, 6.0)


def ring(inner, width):
    return annulus((0, 0), inner, inner + width)


@st.composite
def stars(draw):
    """Polygons that see their center from all vertices, which are in order about it."""
    count = draw(st.integers(3, 7))
    radii = np.asarray(draw(st.lists(st.floats(0.4, 1.0), min_size=count, max_size=count)))
    turns = draw(angles) + 2 * np.pi * np.arange(count) / count
    return radii[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)


def sheared(dimension, n, simplices, seed, shear):
    """A distorted mesh of the unit square or cube, sheared, of simplices or boxes."""
    points, cells = cube(dimension, n, simplices=simplices, shift=0.2, seed=seed)
    matrix = np.eye(dimension)
    matrix[0, 1] = shear
    return Mesh(points @ matrix.T, cells)


# Strategies make functions that make domains: hypothesis wants nothing computed inside of them.
meshes = st.builds(
    partial,
    st.just(sheared),
    st.integers(2, 3),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 99),
    st.floats(-1.0, 1.0),
)
curved = st.one_of(
    st.builds(partial, st.just(disk), st.tuples(places, places), sizes),
    st.builds(
        partial, st.just(ellipse), st.tuples(places, places), st.tuples(sizes, sizes), angles
    ),
    st.builds(partial, st.just(ring), sizes, sizes),
    st.builds(partial, st.just(polygon), stars()),
)


def moments(domain, n):
    """The divergence theorem for (x_0^2 x_1, ...): both sides, and the largest failure of unity."""
    inside, edge = (
        GaussLegendre(domain, n).quadrature(),
        GaussLegendre(domain.boundary(), n).quadrature(),
    )
    x, y, normals = (np.asarray(a) for a in (inside.points, edge.points, edge.normals))
    volume = np.dot(inside.weights, 2 * x[:, 0] * x[:, 1])
    flux = np.dot(edge.weights, y[:, 0] ** 2 * y[:, 1] * normals[:, 0])
    return volume, flux, np.abs(np.linalg.norm(normals, axis=1) - 1).max(), (x, y, normals)


@few
@given(st.one_of(curved, meshes))
def test_quadrature_fulfills_the_divergence_theorem_and_normals_point_outwards(make):
    domain = make()
    n = 4 if isinstance(domain, Mesh) else 16
    volume, flux, unity, (x, y, normals) = moments(domain, n)
    scale = domain.measure * domain.diameter**3 + 1
    assert abs(volume - flux) < 1e-11 * scale
    assert unity < 1e-12
    h = 1e-5 * min(domain.extents)
    assert bool(jnp.all(domain.contains(x[:: max(len(x) // 20, 1)])))
    some = slice(None, None, max(len(y) // 20, 1))
    assert not bool(jnp.any(domain.contains(y[some] + h * normals[some])))


def _monomial(rule, p, q):
    x = np.asarray(rule.points)
    return float(np.dot(rule.weights, x[:, 0] ** p * x[:, 1] ** q))


@few
@given(meshes, st.integers(2, 4))
def test_gauss_rules_on_meshes_are_exact(make, n):
    """Monomials of total degree 2 n - 3, exact on all simplices, against a higher order."""
    mesh = make()
    few_points, many = (GaussLegendre(mesh, k).quadrature() for k in (n, n + 3))
    if mesh.patches[0].map.kind.is_simplex:
        for p in range(2 * n - 2):
            values = [_monomial(rule, p, 2 * n - 3 - p) for rule in (few_points, many)]
            assert values[0] == pytest.approx(values[1], rel=1e-11, abs=1e-12)
    assert float(few_points.weights.sum()) == pytest.approx(mesh.measure, rel=1e-12)


@few
@given(sizes, places, places, sizes)
def test_sets_are_what_their_parts_say(radius, x, y, side):
    ball, box = Shape.ball((x, y), radius), Box((-side, -side), (side, side))
    points = np.random.default_rng(0).uniform(-3, 3, (200, 2))
    a, b = (np.asarray(part.contains(points)) for part in (ball, box))
    np.testing.assert_array_equal(np.asarray((ball | box).contains(points)), a | b)
    np.testing.assert_array_equal(np.asarray((box - ball).contains(points)), b & ~a)
    made = Sobol(ball | box, 64).quadrature()
    assert bool(jnp.all((ball | box).contains(made.points)))
