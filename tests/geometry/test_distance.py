"""Smooth functions that vanish on boundaries, and grow from there with a slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    GaussLegendre,
    Interval,
    Patch,
    Patches,
    SpaceTime,
    annulus,
    ball,
    box_with_hole,
    disk,
    ellipse,
    l_shape,
    polygon,
    sector,
    simplex,
)
from pinn_ngd.geometry import smooth_distance
from pinn_ngd.geometry.distance import Equivalence, Product

CAVE = polygon([(0, 0), (2, 0), (2, 1), (1, 0.4), (0, 1)])
POLYNOMIAL = {
    "interval": Interval(-1.0, 2.0),
    "box": Box((0.0, 0.0), (1.0, 2.0)),
    "disk": disk((1.0, 0.0), 0.5),
    "ball": ball(),
    "ellipse": ellipse((0.0, 1.0), (2.0, 0.5), 0.3),
    "ring": annulus(),
    "slice": sector((0.0, 0.0), 1.0, 0.0, 1.0),
    "plate": box_with_hole(Box((0.0, 0.0), (1.0, 1.0)), (0.5, 0.5), 0.2),
    "triangle": simplex([(0, 0), (1, 0), (0, 1)]),
}
JOINED = {"L": l_shape(), "cave": CAVE, "pacman": sector((0.0, 0.0), 1.0, 0.0, 4.0)}


def on_and_near(domain, region=None, step=1e-6):
    """The function, its values on the boundary, and its slope inward from there."""
    distance = smooth_distance(domain, region)
    rule = GaussLegendre(domain.boundary() if region is None else region, 4).quadrature()
    evaluate = jax.jit(jax.vmap(distance))
    return distance, evaluate(rule.points), evaluate(rule.points - step * rule.normals) / step


@pytest.mark.parametrize("name", [*POLYNOMIAL, *JOINED])
def test_it_vanishes_on_the_boundary_to_first_order_and_is_positive_inside(name):
    domain = {**POLYNOMIAL, **JOINED}[name]
    distance, values, slopes = on_and_near(domain)
    assert isinstance(distance, Product if name in POLYNOMIAL else Equivalence)
    np.testing.assert_allclose(values, 0.0, atol=2e-13)
    assert np.min(slopes) > 0.01
    inside = jax.vmap(distance)(GaussLegendre(domain, 5).quadrature().points)
    assert np.min(inside) > 0
    assert 0.3 < np.max(inside) < 3


@pytest.mark.parametrize("depth", [1e-3, 1e-5, 1e-7])
def test_a_small_dent_is_seen(depth):
    """The line of one half of the dented edge cuts a sliver off the domain beside the other half:
    a product would be zero or negative there."""
    dented = polygon([(0, 0), (2, 0), (2, 1), (1, 1 - depth), (0, 1)])
    distance, values, slopes = on_and_near(dented, step=depth / 100)
    assert isinstance(distance, Equivalence)
    np.testing.assert_allclose(values, 0.0, atol=1e-12)
    assert np.min(slopes) > 0.01
    beside = jnp.asarray([1.9, 1 - depth / 2])
    assert float(distance(beside)) > 0.01 * depth


def test_the_product_of_a_disk_is_the_parabola():
    distance = smooth_distance(disk((1.0, 0.0), 0.5))
    x = jnp.asarray([1.2, 0.3])
    ratio = distance(x) / distance(jnp.asarray([1.0, 0.0]))
    assert float(ratio) == pytest.approx(1 - (0.2**2 + 0.3**2) / 0.25, rel=1e-12)


def test_an_ellipse_of_four_arcs_counts_once():
    assert len(smooth_distance(POLYNOMIAL["ellipse"]).factors) == 1


def test_a_part_of_the_boundary_is_enough():
    ring = annulus()
    _, values, slopes = on_and_near(ring, ring.boundary("inner"))
    np.testing.assert_allclose(values, 0.0, atol=1e-13)
    assert np.min(slopes) > 0.1
    outer = GaussLegendre(ring.boundary("outer"), 3).quadrature().points
    assert np.min(jax.vmap(smooth_distance(ring, ring.boundary("inner")))(outer)) > 0.1


def test_a_half_of_an_edge_leaves_the_other_half_free():
    square = Patches([Box((0.0, 0.0), (1.0, 1.0)), Box((1.0, 0.0), (2.0, 1.0))])
    left = square.boundary().where(lambda x: x[1] == 0.0 and x[0] < 1.0)
    distance, values, _ = on_and_near(square, left)
    np.testing.assert_allclose(values, 0.0, atol=1e-14)
    assert float(distance(jnp.asarray([1.5, 0.0]))) > 0.1


def test_in_time_it_vanishes_at_the_start_and_at_the_sides_and_not_at_the_end():
    distance = smooth_distance(SpaceTime(Interval(1.0, 3.0), disk()))
    at = lambda *x: float(distance(jnp.asarray(x)))  # noqa: E731
    assert at(1.0, 0.1, 0.2) == 0.0
    assert at(2.0, 0.6, 0.8) == pytest.approx(0.0, abs=1e-13)
    assert at(3.0, 0.0, 0.0) == pytest.approx(2 * at(2.0, 0.0, 0.0))


def test_it_is_a_value_that_equals_itself():
    first, second = (smooth_distance(disk()) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.usefixtures("double_precision")
def test_single_precision():
    jax.config.update("jax_enable_x64", False)
    for domain, factors in ((disk(), 1), (POLYNOMIAL["ellipse"], 1), (POLYNOMIAL["triangle"], 3)):
        distance = smooth_distance(domain)
        assert len(distance.factors) == factors
        on = GaussLegendre(domain.boundary(), 4).quadrature().points
        assert on.dtype == jnp.float32
        np.testing.assert_allclose(jax.vmap(distance)(on), 0.0, atol=1e-4)


def test_what_cannot_be_is_said():
    wave = Patch(lambda s: jnp.stack([s[0], s[1] * (1 + 0.3 * jnp.sin(3 * s[0]))]),
                 Box((0.0, 0.0), (1.0, 1.0)))  # fmt: skip
    with pytest.raises(ValueError, match="no plane and no quadric"):
        smooth_distance(Patches([wave]))
    corner = Patches(
        [Box((0, 0, 0), (1, 1, 1)), Box((1, 0, 0), (2, 1, 1)), Box((0, 1, 0), (1, 2, 1))]
    )
    with pytest.raises(ValueError, match="cut through the domain"):
        smooth_distance(corner)
    with pytest.raises(ValueError, match="no normals"):
        smooth_distance(disk(), disk())


def test_at_corners_and_edges_of_an_l_shape_it_has_values_and_slopes():
    distance = smooth_distance(JOINED["L"])
    for corner in ((0.0, 0.0), (1.0, 1.0), (-1.0, -1.0)):
        assert float(distance(jnp.asarray(corner))) == 0.0
    slope = jax.grad(distance)(jnp.asarray([0.5, 0.0]))  # inward from the edge y = 0
    assert float(slope[1]) > 0.1
    assert abs(float(slope[0])) < 1e-12
