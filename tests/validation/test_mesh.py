import json

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    AbstractRule,
    Box,
    GaussLegendre,
    Quadrature,
    Residual,
    ResidualObjective,
    Sobol,
    disk,
)
from pinn_ngd.validation import HeldOut, Mesh, refined, rules_of, starting_mesh
from pinn_ngd.validation.mesh import as_mesh, enriched

SQUARE = Box((0.0, 0.0), (1.0, 2.0))


def objective(*rules):
    return ResidualObjective([Residual(lambda u, x: u(x), rule) for rule in rules])


def grow(made, mesh: Mesh, density) -> Mesh:
    """One refinement for a squared residual that is known."""
    here = made.with_rules(rules_of(made, mesh))
    held = HeldOut(here, template=made)
    points = [np.asarray(rule.points) for rule in held.batch]
    pairs = zip(held.batch, points, strict=True)
    masses = [np.asarray(rule.weights) * density(x) for rule, x in pairs]
    return refined(made, mesh, points, masses)


RULES = [
    (GaussLegendre(SQUARE, 8), GaussLegendre(SQUARE.boundary(), 8)),
    (Sobol(SQUARE, 64), Sobol(SQUARE.boundary(), 32)),
]


@pytest.mark.parametrize("rules", RULES, ids=["gauss", "sobol"])
def test_points_are_added_and_weights_stay_a_quadrature(rules):
    made = objective(*rules)
    mesh = starting_mesh(made)
    assert rules_of(made, mesh) == made.rules
    for change in (enriched, lambda o, m: grow(o, m, lambda x: 1 + x[:, 0])):
        before = sum(rule.size for rule in rules_of(made, mesh))
        mesh = change(made, mesh)
        after = rules_of(made, mesh)
        assert 1.2 * before <= sum(rule.size for rule in after) <= 2.2 * before
        for rule, measure in zip(after, (2.0, 6.0), strict=True):
            assert float(jnp.sum(rule.quadrature().weights)) == pytest.approx(measure)


@pytest.mark.slow
@pytest.mark.parametrize("make", [GaussLegendre, Sobol])
def test_points_grow_on_curved_domains_where_the_residual_is(make):
    rules = make(disk(), 4 if make is GaussLegendre else 64), GaussLegendre(disk().boundary(), 5)
    made = objective(*rules)
    mesh = starting_mesh(made)
    for _ in range(3):
        mesh = grow(made, mesh, lambda x: np.exp(-20 * np.sum((x - [0.6, 0.0]) ** 2, axis=1)))
    after = rules_of(made, mesh)
    assert sum(rule.size for rule in after) > 2 * sum(rule.size for rule in rules)
    for rule, measure in zip(after, (np.pi, 2 * np.pi), strict=True):
        quadrature = rule.quadrature()
        within = 1e-2 if make is GaussLegendre else 5e-2  # |det J| is sampled by Sobol points
        assert float(jnp.sum(quadrature.weights)) == pytest.approx(measure, rel=within)
        assert bool(jnp.all(disk().contains(np.asarray(quadrature.points)[:8])))
    assert quadrature.normals.shape == quadrature.points.shape
    points = np.asarray(after[0].quadrature().points)
    near = np.mean(np.sum((points - [0.6, 0.0]) ** 2, axis=1) < 0.3**2)
    assert near > 2 * 0.3**2  # more than twice the share of the area


def test_gauss_rules_stay_exact():
    made = objective(GaussLegendre(SQUARE, 6))
    mesh = starting_mesh(made)
    for _ in range(3):
        mesh = grow(made, mesh, lambda x: np.exp(-20 * x[:, 0]))
    rule = rules_of(made, mesh)[0].quadrature()
    assert float(rule.integrate(lambda x: x[0] ** 5 * x[1] ** 3)) == pytest.approx(4 / 6, rel=1e-13)


@pytest.mark.parametrize("rule", [RULES[0][0], RULES[1][0]], ids=["gauss", "sobol"])
def test_points_go_where_the_residual_is(rule):
    made = objective(rule)
    mesh = starting_mesh(made)
    for _ in range(5):
        mesh = grow(made, mesh, lambda x: np.exp(-300 * (x[:, 0] ** 2 + x[:, 1] ** 2)))
    points = np.asarray(rules_of(made, mesh)[0].quadrature().points)
    corner = np.mean((points[:, 0] < 0.25) & (points[:, 1] < 0.5))
    assert corner > 4 / 16  # a sixteenth of the region, and more than four times its share


def test_a_mesh_survives_a_checkpoint():
    made = objective(*RULES[0])
    mesh = grow(made, enriched(made, starting_mesh(made)), lambda x: x[:, 0])
    assert as_mesh(json.loads(json.dumps(mesh))) == mesh


def test_many_dimensions_get_more_points_and_no_cuts():
    cube = Box((0.0,) * 5, (1.0,) * 5)
    made = objective(Sobol(cube, 128))
    mesh = grow(made, starting_mesh(made), lambda x: x[:, 0])
    assert mesh == (((0, ((-1, 0),)),),)
    (rule,) = rules_of(made, mesh)
    assert rule.size == 192
    first = np.asarray(rule.quadrature().points)[:128]
    np.testing.assert_array_equal(first, made.rules[0].quadrature().points)


class Given(AbstractRule):
    resampled: bool = eqx.field(static=True, default=False)

    def quadrature(self, key=None):
        del key
        return Quadrature(jnp.asarray([[0.5, 0.5]]), jnp.ones(1))


def test_a_rule_of_ones_own_stays_as_it_is():
    made = objective(Given(), GaussLegendre(SQUARE, 4))
    mesh = grow(made, starting_mesh(made), lambda x: 1 + x[:, 0])
    assert mesh[0] == starting_mesh(made)[0]
    assert rules_of(made, mesh)[0].size == 1
    alone = objective(Given())
    where, masses = [np.asarray([[0.5, 0.5]])], [np.ones(1)]
    assert refined(alone, starting_mesh(alone), where, masses) == starting_mesh(alone)
    with pytest.raises(ValueError, match="no rule of the objective has held-out points"):
        HeldOut(alone)
