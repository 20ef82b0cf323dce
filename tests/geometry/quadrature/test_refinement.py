"""Held-out, halved and grown rules."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import AbstractRule, Box, Interval, Quadrature, SpaceTime
from pinn_ngd.geometry.quadrature import (
    Cells,
    Equispaced,
    GaussLegendre,
    Halton,
    LatinHypercube,
    MonteCarlo,
    Sobol,
    Trapezoid,
    halves,
    pieces,
)

LINE, SQUARE = Interval(-1.0, 2.0), Box((0.0, 0.0), (1.0, 2.0))
CYLINDER = SpaceTime(Interval(0.0, 4.0), Box((0.0, -1.0), (1.0, 1.0)))
REGIONS = [LINE, SQUARE, CYLINDER, SQUARE.boundary(), CYLINDER.initial(), CYLINDER.lateral()]


def rules(region):
    tensor = [GaussLegendre(region, 4), Trapezoid(region, 4), Equispaced(region, 4)]
    sampled = [Sobol(region, 24), MonteCarlo(region, 24, resampled=False), MonteCarlo(region, 24)]
    return [*tensor, *sampled, Halton(region, 24), LatinHypercube(region, 24)]


EVERY = [rule for region in REGIONS for rule in rules(region)]


def weight(rule):
    return float(jnp.sum(rule.quadrature(jax.random.key(0)).weights))


@pytest.mark.parametrize("piece", [*REGIONS[:3], *SQUARE.boundary().faces, CYLINDER.initial()])
def test_halves_share_a_side_and_make_up_the_whole(piece):
    for axis in piece.free_axes:
        lower, upper = halves(piece, axis)
        assert lower.measure + upper.measure == pytest.approx(piece.measure)
        assert lower.corners[1][axis] == upper.corners[0][axis]
        assert (lower.corners[0], upper.corners[1]) == piece.corners
        assert type(lower) is type(piece)


def test_a_face_is_not_cut_across_its_fixed_axis():
    with pytest.raises(ValueError, match="does not lie along"):
        halves(CYLINDER.initial(), 0)


@pytest.mark.parametrize("rule", EVERY, ids=lambda r: type(r).__name__)
def test_size_counts_the_points(rule):
    assert rule.size == rule.quadrature(jax.random.key(0)).weights.size


@pytest.mark.parametrize("rule", EVERY, ids=lambda r: type(r).__name__)
def test_held_out_points_are_more_others_and_fixed(rule):
    held = rule.held_out()
    assert not held.resampled
    assert held.size > 1.2 * rule.size
    assert weight(held) == pytest.approx(rule.region.measure)
    trained = {tuple(x) for x in np.asarray(rule.quadrature(jax.random.key(0)).points).tolist()}
    assert trained.isdisjoint(tuple(x) for x in np.asarray(held.quadrature().points).tolist())


@pytest.mark.parametrize("rule", EVERY, ids=lambda r: type(r).__name__)
def test_pieces_halves_and_grown_rules_weigh_what_the_region_measures(rule):
    parts = rule.per_piece()
    assert len(parts) == len(pieces(rule.region))
    assert sum(weight(part) for part in parts) == pytest.approx(rule.region.measure)
    for part in parts:
        for axis in range(part.region.dimension):
            cut = part.halved(axis, 1.5)
            if axis not in part.region.free_axes:
                assert cut is None
                continue
            assert sum(weight(half) for half in cut) == pytest.approx(part.region.measure)
            assert sum(half.size for half in cut) >= 1.4 * part.size
        assert part.grown(1.5).size >= 1.4 * part.size
        assert weight(part.grown(1.5)) == pytest.approx(part.region.measure)


def test_two_gauss_halves_are_as_exact_as_the_whole():
    cells = Cells(GaussLegendre(SQUARE, 6).halved(1, 1.5))
    assert cells.size == 6 * 10
    value = cells.quadrature().integrate(lambda x: x[0] ** 7 * x[1] ** 9)
    assert float(value) == pytest.approx(2**10 / 80, rel=1e-13)
    assert weight(cells.held_out()) == pytest.approx(2.0)
    assert len(cells.per_piece()) == 2


def test_grown_sobol_points_start_with_the_old_ones():
    rule = Sobol(SQUARE, 32)
    points = rule.grown(1.5).quadrature().points
    np.testing.assert_array_equal(points[:32], rule.quadrature().points)


class Given(AbstractRule):
    resampled: bool = eqx.field(static=True, default=False)

    def quadrature(self, key=None):
        del key
        return Quadrature(jnp.asarray([[0.5], [0.75]]), jnp.full(2, 0.5))


def test_a_rule_of_ones_own_is_neither_held_out_nor_refined():
    rule = Given()
    assert (rule.size, rule.held_out(), rule.halved(0, 1.5), rule.grown(1.5)) == (2, *(None,) * 3)
    assert rule.per_piece() == (rule,)
    assert Cells((rule, GaussLegendre(LINE, 3))).held_out() is None
    with pytest.raises(ValueError, match="`rules` is empty"):
        Cells(())
