"""Domains that are none: one sentence each, with the cure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry import (
    Box,
    Equispaced,
    GaussLegendre,
    Grid,
    Interval,
    MonteCarlo,
    Patch,
    Patches,
    SpaceTime,
    annulus,
    ball,
    box_with_hole,
    disk,
    polygon,
    sector,
    simplex,
    sphere,
)

UNIT = Box((0, 0), (1, 1))
SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
INNER = [(2, 2), (8, 2), (8, 8), (2, 8)]
INNERMOST = [(4, 4), (6, 4), (6, 6), (4, 6)]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "intersects itself.*in order"),
        (lambda: polygon([(0, 0), (2, 0), (1, 0), (1, 1)]), "intersects itself"),
        (lambda: polygon([(0, 0), (1, 0), (1, 0), (0, 1)]), "a point twice"),
        (lambda: polygon([(0, 0), (1, 0)]), r"shape \(2, 2\).*at least three"),
        (lambda: polygon([(0, 0), (1, 0), (0, 1)], [[(2, 2), (3, 2), (2, 3)]]), "does not lie in"),
        (lambda: polygon(SQUARE, [INNER, INNERMOST]), "inside of another one"),
        (lambda: sphere().boundary(), "has no boundary"),
        (lambda: disk().boundary().boundary(), "has no boundary"),
        (lambda: Equispaced(disk().boundary(), 4, ends="left"), "only on boxes and their faces"),
        (lambda: simplex([(0, 0), (1, 1), (2, 2)]), "in one plane: move"),
        (lambda: simplex([(0, 0), (1, 1)]), "d \\+ 1 vertices"),
        (lambda: Patch(lambda s: s[0] * jnp.ones(2), UNIT), "det J of `map` is zero.*depend on"),
        (lambda: Patch(lambda s: (s[0] ** 2, s[1]), Box((-1, 0), (1, 1))), "changes its sign"),
        (lambda: Patch(lambda s: (jnp.sqrt(s[0]), s[1]), Box((-1, 0), (0.0, 1))), "no finite"),
        (lambda: Patch(lambda s: s[:1], UNIT), "takes 2 reference coordinates to points of 1"),
        (lambda: Patch(lambda s: s + jnp.ones((2, 2)), UNIT), "return one point"),
        (lambda: Patch(lambda s: np.sin(s), UNIT), "write jnp for np"),
        (lambda: Patch(lambda s: s[:, 0], UNIT), "ONE reference point"),
        (lambda: Patches([]), "give at least one patch"),
        (lambda: Patches([UNIT, Interval(0, 1)]), "only patches of one dimension"),
        (lambda: Patches([UNIT, Box((0.5, 0), (2, 1))]).boundary(), "do not fit together"),
        (lambda: annulus().boundary("left"), "`name` = 'left'.*inner, outer"),
        (lambda: annulus(inner=2.0), "exchange the radii"),
        (lambda: disk(radius=-1.0), "`radius` = -1.0 is no length"),
        (lambda: disk((0,)), "`center` = .*at least 2"),
        (lambda: ball((0, np.nan)), "not finite"),
        (lambda: sector((0, 0), 1, 2.0, 1.0), "bound no sector"),
        (lambda: box_with_hole(UNIT, (0.5, 0.5), 0.5), "does not lie inside.*shrink"),
        (lambda: disk().boundary().where(lambda x: x[0] > 5), "no patch"),
        (lambda: disk().boundary().normal_at(np.zeros(2)), "lies on no boundary"),
        (lambda: disk().contains(np.zeros(3)), r"`points` has shape \(3,\)"),
        (lambda: jax.jit(disk().boundary().normal_at)(np.zeros(2)), r"fn\(u, x, normal\)"),
        (lambda: Grid(disk(), (8, 8)), "a grid fills a box"),
        (lambda: GaussLegendre(disk(), (3, 3, 3)), "3 entries"),
        (lambda: MonteCarlo(disk(), 3), "cannot cover a region of 5"),
        (
            lambda: jax.jit(lambda k: MonteCarlo(disk(), 8).quadrature(k).points)(
                jax.random.key(0)
            ),
            "`key` is traced",
        ),
    ],
)  # fmt: skip
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Patch(3, UNIT), "`map` must be a function"),
        (lambda: Patch(lambda s: s, disk()), "give an Interval or Box"),
        (lambda: Patches(["disk"]), "hold a str"),
        (lambda: SpaceTime(Interval(0, 1), SpaceTime(Interval(0, 1), disk())), "no cylinder"),
    ],
)  # fmt: skip
def test_other_types_are_refused(make, match):
    with pytest.raises(TypeError, match=match):
        make()


@pytest.mark.parametrize("space", [sphere(), disk().boundary()])
def test_no_cylinder_stands_on_a_surface(space):
    with pytest.raises(TypeError, match="no cylinder"):
        SpaceTime(Interval(0.0, 1.0), space)
