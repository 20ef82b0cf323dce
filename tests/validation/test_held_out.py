"""Held-out losses by term and by chunk, and points that are really others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    AbstractRule,
    Box,
    Energy,
    EnergyObjective,
    Equispaced,
    GaussLegendre,
    MonteCarlo,
    Quadrature,
    Residual,
    ResidualObjective,
    Sobol,
    Trapezoid,
    estimate_error,
    laplacian,
)
from pinn_ngd.validation import Estimator, HeldOut, Watch
from pinn_ngd.validation.chunks import chunks
from pinn_ngd.validation.held_out import can_hold_out, distinct_names, masses_of, part_of
from tests.validation.conftest import LINE, Sines, poisson

SOLUTION = (1.0, 0.3, -0.2)
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
WRONG = Sines(jnp.asarray([0.5, -0.4, 0.1, 0.02]))


def values(*rules, weight=1.0):
    """u = 0, by every rule."""
    return ResidualObjective([Residual(lambda u, x: u(x), rule, weight) for rule in rules])


def points_of(rule):
    points = rule.quadrature(jax.random.key(0)).points
    return {tuple(x) for x in np.asarray(points).tolist()}


class Given(AbstractRule):
    """Two points of one's own."""

    resampled: bool = eqx.field(static=True, default=False)

    def quadrature(self, key=None):
        del key
        return Quadrature(jnp.asarray([[0.5], [0.75]]), jnp.full(2, 0.5))


class Drawn(AbstractRule):
    """Four points of one's own, drawn anew at every call."""

    resampled: bool = eqx.field(static=True, default=True)

    def quadrature(self, key=None):
        if key is None:
            raise ValueError("`key` is missing")
        return Quadrature(jax.random.uniform(key, (4, 1)), jnp.full(4, 0.25))


def test_a_sine_that_vanishes_at_all_training_points_is_seen_between_them():
    objective = values(Equispaced(LINE, 7))  # k/8, the zeros of sin(8 pi x)
    wave = lambda x: jnp.sin(8 * jnp.pi * x[0])  # noqa: E731
    assert float(objective.loss(wave, objective.batch())) < 1e-28
    assert HeldOut(objective)(wave).loss > 0.1  # 1/4 is the integral


@pytest.mark.parametrize("weight", [1.0, 7.0])
def test_the_held_out_loss_is_that_of_a_finer_quadrature(weight):
    look = HeldOut(values(GaussLegendre(LINE, 12), weight=weight))(Sines(jnp.asarray(SOLUTION)))
    exact = weight * 0.25 * sum(c**2 for c in SOLUTION)
    assert look.loss == pytest.approx(exact, rel=1e-10)


def test_terms_are_called_by_their_names():
    look = HeldOut(poisson(SOLUTION))(WRONG)
    assert list(look.terms) == ["interior", "ends"]
    assert sum(look.terms.values()) == pytest.approx(look.loss, rel=1e-14)


@pytest.mark.parametrize(
    ("names", "distinct"),
    [
        (("a", "b"), ["a", "b"]),
        (("residual", "residual"), ["residual 1", "residual 2"]),
        (("a", "b", "a", "a"), ["a 1", "b", "a 2", "a 3"]),
        ((), []),
    ],
)
def test_equal_names_are_numbered(names, distinct):
    assert distinct_names(names) == distinct


def test_losses_and_masses_sum_to_the_loss_of_the_held_out_batch():
    held = HeldOut(poisson(SOLUTION))
    look, expected = held(WRONG), float(held.objective.loss(WRONG, held.batch))
    assert look.loss == pytest.approx(expected, rel=1e-12)
    assert sum(float(mass.sum()) for mass in look.masses) == pytest.approx(expected, rel=1e-12)
    assert [len(mass) for mass in look.masses] == [rule.weights.size for rule in held.batch]


def test_a_template_with_other_points_changes_nothing_but_compilation():
    objective, template = poisson(SOLUTION, points=8), poisson(SOLUTION, points=5)
    alone, shared = HeldOut(objective)(WRONG), HeldOut(objective, template=template)(WRONG)
    assert shared.loss == pytest.approx(alone.loss, rel=1e-13)
    assert (shared.worst, shared.where) == (alone.worst, alone.where)


def test_the_worst_point_is_where_the_residual_is_largest():
    held = HeldOut(values(GaussLegendre(LINE, 6), GaussLegendre(LINE.boundary(), 1)))
    assert held(lambda x: 1 - x[0]).where == (0.0,)
    assert held(lambda x: 1 - x[0]).worst == "residual 2"
    inside = held(lambda x: x[0] * (1 - x[0]))
    assert inside.worst == "residual 1"
    assert inside.where == pytest.approx((0.5,), abs=0.1)


def test_term_weights_decide_which_term_is_worst():
    terms = [
        Residual(lambda u, x: u(x), GaussLegendre(LINE, 4), name="light"),
        Residual(lambda u, x: 0.5 * u(x), GaussLegendre(LINE, 4), 100.0, "heavy"),
    ]
    assert HeldOut(ResidualObjective(terms))(lambda x: x[0]).worst == "heavy"


def test_a_residual_that_is_not_a_number_is_the_worst():
    term = Residual(lambda u, x: jnp.where(x[0] > 0.9, jnp.nan, u(x)), GaussLegendre(LINE, 6))
    look = HeldOut(ResidualObjective([term]))(lambda x: 1e3 * (1 - x[0]))
    assert look.where[0] > 0.9
    assert np.isnan(look.loss)


def test_components_of_a_vector_add_up_at_their_point():
    pair = Residual(lambda u, x: jnp.stack([u(x), 2 * u(x)]), GaussLegendre(LINE, 5))
    one = HeldOut(values(GaussLegendre(LINE, 5)))(WRONG)
    two = HeldOut(ResidualObjective([pair]))(WRONG)
    np.testing.assert_allclose(two.masses[0], 5 * one.masses[0], rtol=1e-12)


def test_a_term_of_ones_own_keeps_its_points():
    objective = values(Given(), GaussLegendre(LINE, 4))
    held = HeldOut(objective)
    np.testing.assert_array_equal(held.batch[0].points, [[0.5], [0.75]])
    assert held.batch[1].weights.size > 4
    assert can_hold_out(objective)
    assert not can_hold_out(values(Given()))


RULES = [
    Sobol(SQUARE, 16),
    MonteCarlo(SQUARE, 16, resampled=False),
    *(rule(SQUARE, n) for n in (2, 3, 4, 5) for rule in (GaussLegendre, Trapezoid, Equispaced)),
    *(Equispaced(LINE, n, ends="both") for n in (4, 5)),
    *(Equispaced(SQUARE.boundary(), n, ends="left") for n in (3, 5)),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_training_points_are_neither_solved_at_nor_tested_at(rule):
    objective = values(rule)
    estimator = Estimator(objective)
    for held in (estimator.made, estimator.tested):
        other = {tuple(x) for x in np.asarray(held.batch[0].points).tolist()}
        assert points_of(rule).isdisjoint(other)


@pytest.mark.parametrize(
    "rule",
    [Sobol(SQUARE, 16), MonteCarlo(SQUARE, 16, resampled=False), GaussLegendre(LINE, 2)],
    ids=["sobol", "monte carlo", "two gauss points"],
)
def test_the_points_of_the_test_are_others_than_those_of_the_step(rule):
    estimator = Estimator(values(rule))
    made, tested = (
        {tuple(x) for x in np.asarray(held.batch[0].points).tolist()}
        for held in (estimator.made, estimator.tested)
    )
    assert len(made & tested) <= 1


@pytest.mark.parametrize("region", [LINE, SQUARE, SQUARE.boundary()])
def test_left_ends_share_no_point_with_their_held_out_rule(region):
    rule = Equispaced(region, 4, ends="left")
    assert points_of(rule).isdisjoint(points_of(rule.held_out()))


def test_a_resampled_term_of_ones_own_can_be_looked_at():
    objective = values(Drawn(), GaussLegendre(LINE.boundary(), 1))
    watch = Watch(objective, grow=True)
    numbers = watch.look_at(WRONG, objective.batch(jax.random.key(1)))
    assert numbers["points"] == 6


BATCH = (GaussLegendre(SQUARE, 5).quadrature(), GaussLegendre(SQUARE.boundary(), 3).quadrature())


@pytest.mark.parametrize("size", [1, 4, 7, 12, 25, 40])
def test_chunks_have_one_size_and_hold_every_point_once(size):
    parts = list(chunks(BATCH, size))
    assert len(parts) == -(-25 // size)
    for i, whole in enumerate(BATCH):
        assert {part[i].weights.size for part in parts} == {size}
        n = whole.weights.size
        for name in ("points", "weights"):
            joined = np.concatenate([np.asarray(getattr(part[i], name)) for part in parts])
            np.testing.assert_array_equal(joined[:n], getattr(whole, name))
        rest = np.concatenate([np.asarray(part[i].weights) for part in parts])[n:]
        assert not rest.any()


@pytest.mark.parametrize(("few", "size"), [(15, 5), (16, 40)])
def test_a_term_of_few_points_has_chunks_of_an_eighth(few, size):
    batch = (GaussLegendre(LINE, few).quadrature(), GaussLegendre(LINE, 100).quadrature())
    parts = list(chunks(batch, 40))
    assert [part[0].weights.size for part in parts] == [size] * 3
    assert [part[1].weights.size for part in parts] == [40] * 3
    weights = np.concatenate([np.asarray(part[0].weights) for part in parts])
    np.testing.assert_array_equal(weights[:few], batch[0].weights)
    assert not weights[few:].any()


def test_a_part_leaves_small_terms_whole():
    large, small = GaussLegendre(LINE, 1000).quadrature(), GaussLegendre(LINE, 30).quadrature()
    part = part_of((large, small), 100, 30)
    assert [rule.weights.size for rule in part] == [97, 30]
    for rule, whole in zip(part, (large, small), strict=True):
        assert float(rule.weights.sum()) == pytest.approx(float(whole.weights.sum()), rel=0.2)
    assert [rule.weights.size for rule in part_of((large, small), 100)] == [97, 3]
    assert part_of((large, small), 1030) == (large, small)


@pytest.mark.parametrize("size", [5, 7, 12, 40])
def test_sums_over_chunks_are_sums_over_the_batch(size):
    objective = values(GaussLegendre(SQUARE, 5), GaussLegendre(SQUARE.boundary(), 3))
    model = lambda x: jnp.exp(x[0]) * x[1]  # noqa: E731
    whole = float(objective.loss(model, BATCH))
    parts = [float(objective.loss(model, part)) for part in chunks(BATCH, size)]
    assert sum(parts) == pytest.approx(whole, rel=1e-13)


def test_more_points_than_a_chunk_have_the_masses_of_one_call():
    objective = values(GaussLegendre(LINE, 600), GaussLegendre(LINE.boundary(), 1))
    batch, model = objective.batch(), lambda x: jnp.exp(x[0])
    for mine, whole in zip(
        masses_of(objective, model, batch), objective.point_losses(model, batch), strict=True
    ):
        np.testing.assert_allclose(mine, whole, rtol=1e-13)


def _energy(points):
    """1/2 |u'|^2 - f u, with the f of a sum of sines."""
    exact = Sines(jnp.asarray(SOLUTION))

    def density(x, features):
        return 0.5 * features[1] ** 2 + laplacian(exact)(x) * features[0]

    return EnergyObjective([Energy(density, GaussLegendre(LINE, points))])


def test_the_test_of_an_energy_does_not_depend_on_chunks():
    model = Sines(jnp.asarray([1.1, 0.2, 0.0]))
    estimate = estimate_error(_energy(400), model)  # 640 points, two chunks
    assert estimate.corrected(jnp.asarray([0.3])) == pytest.approx(
        float(Sines(jnp.asarray(SOLUTION))(jnp.asarray([0.3]))), rel=1e-9
    )


def test_an_estimate_that_could_not_be_tested_is_not_reliable():
    tested = GaussLegendre(LINE, 4).held_out(2.3).quadrature().points[0, 0]

    def holed(u, x):
        return jnp.where(jnp.abs(x[0] - tested) < 1e-6, jnp.nan, u(x) - x[0])

    objective = ResidualObjective([Residual(holed, GaussLegendre(LINE, 4))])
    assert not estimate_error(objective, Sines(jnp.asarray([0.5]))).reliable
