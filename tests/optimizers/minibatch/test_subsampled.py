"""Steps from a part of the rows: their algebra, what judges them, and that they train."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    Sobol,
    _tree,
    laplacian,
    train,
)
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import SubsampledTrustRegion
from pinn_ngd.optimizers.minibatch.subsampled import PATIENCE

LINE = Interval(0.0, 1.0)
KEY = jax.random.key(0)


class Powers(eqx.Module):
    """A model that is linear in its parameters."""

    c: jax.Array

    def __call__(self, x):
        return jnp.polyval(self.c, x[0])


def fit(rule, target=lambda x: jnp.sin(3 * x[0])):
    return ResidualObjective([Residual(lambda u, x: u(x) - target(x), rule, name="fit")])


LINEAR, START = fit(GaussLegendre(LINE, 20)), Powers(jnp.zeros(5))


def one_step(optimizer, objective, model, state=None):
    batch = objective.batch(KEY)
    state = optimizer.init(model, objective, batch) if state is None else state
    return eqx.filter_jit(optimizer.step)(model, state, objective, batch, key=KEY)


def test_with_all_rows_a_linear_problem_is_solved_in_one_step():
    optimizer = SubsampledTrustRegion(rows=100)
    state = optimizer.init(START, LINEAR, LINEAR.batch(KEY))
    state = eqx.tree_at(lambda s: s.damping, state, jnp.asarray(1e-12))
    model, state, info = one_step(optimizer, LINEAR, START, state)
    rule = LINEAR.batch(KEY)[0]
    root = jnp.sqrt(rule.weights)
    rows = jax.vmap(lambda x: jnp.vander(x, 5)[0])(rule.points) * root[:, None]
    best = jnp.linalg.lstsq(rows, root * jnp.sin(3 * rule.points[:, 0]))[0]
    np.testing.assert_allclose(model.c, best, rtol=1e-4)
    assert bool(info.accepted)
    assert float(info.actual) == pytest.approx(float(info.predicted), rel=1e-9)
    assert float(info.loss) == pytest.approx(float(LINEAR.loss(model, LINEAR.batch(KEY))), rel=1e-9)


def test_the_direction_is_that_of_the_dense_formula_with_memory():
    optimizer = SubsampledTrustRegion(rows=100, momentum=0.7)
    batch = LINEAR.batch(KEY)
    before = Powers(jnp.asarray([0.1, -0.2, 0.05, 0.3, 0.2]))
    state = optimizer.init(START, LINEAR, batch)
    params, _ = _tree.trainable(before)
    state = eqx.tree_at(lambda s: s.direction, state, params)
    _, after, info = one_step(optimizer, LINEAR, START, state)
    system = LINEAR.system(START, batch)
    a, b = system.operator.matrix, ravel_pytree(system.target)[0]
    drift = 0.7 * before.c
    damped = a.T @ a + info.damping * jnp.eye(5)
    phi = jnp.linalg.solve(damped, a.T @ (b - a @ drift)) + drift
    np.testing.assert_allclose(after.direction.c, phi, rtol=1e-6)


def test_a_subset_has_the_weight_of_all_and_no_point_twice():
    objective = ResidualObjective(
        [
            Residual(lambda u, x: u(x), GaussLegendre(LINE, 60), name="inside"),
            Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1), name="ends"),
        ]
    )
    batch = objective.batch(KEY)
    part = objective.subset(batch, jax.random.key(3), 31)
    assert [rule.weights.size for rule in part] == [30, 1]
    assert len(np.unique(part[0].points)) == 30
    sums = [
        sum(float(rule.weights.sum()) for rule in objective.subset(batch, jax.random.key(i), 31))
        for i in range(200)
    ]
    assert np.mean(sums) == pytest.approx(3.0, abs=0.05)
    whole = objective.subset(batch, KEY, 100)
    assert all(a is b for a, b in zip(whole, batch, strict=True))


def test_a_step_that_does_not_hold_on_other_rows_is_refused_and_forgotten():
    """The loss is at its minimum: nothing that lowers it on some rows does so on the others."""
    optimizer = SubsampledTrustRegion(rows=100)
    model = Powers(jnp.asarray([0.0, 0.0, 0.0, 0.0, 2.0]))
    objective = fit(GaussLegendre(LINE, 20), target=lambda x: 2.0 + 0 * x[0])
    moved, state, info = one_step(optimizer, objective, model)
    assert not bool(info.accepted)
    np.testing.assert_array_equal(moved.c, model.c)
    np.testing.assert_array_equal(state.direction.c, 0.0)
    assert float(state.damping) == pytest.approx(0.1)  # the largest that was tried
    assert int(state.refused) == 1
    refused = eqx.tree_at(lambda s: s.refused, state, jnp.asarray(PATIENCE, jnp.int32))
    assert int(optimizer.refreshed(refused).refused) == 0


def test_the_answer_is_the_iterate_that_fresh_rows_liked_best():
    """The judgement of a model is the mean of its losses on the two sets that its step draws."""
    optimizer, objective = SubsampledTrustRegion(rows=8), fit(GaussLegendre(LINE, 40))
    batch = objective.batch(KEY)
    state, model = optimizer.init(START, objective, batch), START
    step = eqx.filter_jit(optimizer.step)
    losses, models = [], []
    for number in range(12):
        key = jax.random.key(number)
        parts = [objective.subset(batch, k, 8) for k in jax.random.split(key)]
        losses.append(np.mean([float(objective.loss(model, part)) for part in parts]))
        models.append(model)
        model, state, _ = step(model, state, objective, batch, key=key)
        best = int(np.argmin(losses))
        assert float(state.best_loss) == pytest.approx(losses[best], rel=1e-9)
        np.testing.assert_array_equal(optimizer.answer(model, state).c, models[best].c)
    assert 0 < best < 11  # neither the first nor the last: the test can tell them apart
    again = optimizer.refreshed(state)
    assert np.isinf(again.best_loss)
    np.testing.assert_array_equal(again.best.c, models[best].c)


def test_with_all_rows_the_last_iterate_is_judged_as_well():
    optimizer = SubsampledTrustRegion(rows=100)
    model, state, info = one_step(optimizer, LINEAR, START)
    assert bool(info.accepted)
    np.testing.assert_array_equal(optimizer.answer(model, state).c, model.c)


@pytest.mark.slow
def test_networks_are_trained_by_a_third_of_the_rows_a_step():
    """What a run reaches depends on its rows, and on rounding: the median of five, three digits."""

    def exact(x):
        return jnp.sin(jnp.pi * x[0])

    objective = ResidualObjective(
        [
            Residual(
                lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x), Sobol(LINE, 90), name="inside"
            ),
            Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1), 100.0, "ends"),
        ]
    )
    model, optimizer = MLP((1, 12, 1), key=KEY, domain=LINE), SubsampledTrustRegion(rows=30)
    x = jnp.linspace(0.0, 1.0, 101)[:, None]
    errors = []
    for key in range(5):
        found = train(objective, model, optimizer, steps=300, key=key, grow=False).model
        errors.append(float(jnp.max(jnp.abs(jax.vmap(found)(x) - jax.vmap(exact)(x)))))
    assert np.median(errors) < 1e-3


def test_what_has_no_rows_of_its_own_is_refused():
    from tests.optimizers.helpers import network, ritz_1d

    energy = ritz_1d(4)
    with pytest.raises(ValueError, match=r"takes a part of the rows of a ResidualObjective"):
        SubsampledTrustRegion().init(network(width=3), energy, energy.batch(KEY))


def test_candidates_that_are_not_finite_are_refused_and_the_run_goes_on():
    """Every long step leaves the domain of the logarithm."""
    objective = ResidualObjective(
        [Residual(lambda u, x: u(x) - 100 + 0 * jnp.log(4 - u(x)), GaussLegendre(LINE, 20))]
    )
    moved, state, info = one_step(SubsampledTrustRegion(rows=100), objective, START)
    assert np.isfinite(info.loss)
    assert bool(info.accepted) or int(state.refused) == 1
    assert np.isfinite(moved.c).all()
