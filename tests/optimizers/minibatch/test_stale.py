"""SP-NGD: against K-FAC and dense steps, microbatches, mixup, rescaled weights, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.optimizers import StaleNaturalGradient
from pinn_ngd.optimizers.minibatch.stale import _rescaled, rescaled
from tests.optimizers.helpers import flat
from tests.optimizers.minibatch.helpers import DAMPING, RATE, blobs, close, move, network

PLAIN = dict(rate=RATE, momentum=0.0, damping=DAMPING, accumulation="parameters")


class Normed(eqx.Module):
    """A dense layer, a norm, and another dense layer."""

    first: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear

    def __init__(self, seed=0):
        one, two = jax.random.split(jax.random.key(seed))
        self.first, self.last = eqx.nn.Linear(2, 6, key=one), eqx.nn.Linear(6, 3, key=two)
        self.norm = eqx.nn.LayerNorm(6)

    def __call__(self, x):
        return self.last(jnp.tanh(self.norm(self.first(x))))


def run(steps=1, objective=None, model=None, **settings):
    """Parameters and last state after some steps on batches of their own."""
    objective, model = objective or blobs(), model or Normed()
    optimizer = optimizers.get("sp-ngd", **settings)
    state = optimizer.init(model, objective, objective.draw(jax.random.key(3), 0))
    step = eqx.filter_jit(optimizer.step)
    for number in range(steps):
        batch = objective.draw(jax.random.key(3), number)
        model, state, info = step(model, state, objective, batch, key=jax.random.key(number))
        assert bool(info.accepted)
    return model, state, info


def test_a_step_with_fresh_statistics_is_that_of_kfac():
    kfac = dict(rate=RATE, momentum=0.0, damping=DAMPING, fisher="empirical", rescale=False)
    close(move("sp-ngd", **PLAIN), move("kfac", adaption="fixed", **kfac))


def test_without_staleness_every_step_measures_and_with_it_fewer():
    _, fresh, _ = run(12, alpha=0.0)
    assert set(fresh.factors.measured.tolist()) == {12}
    _, stale, _ = run(12, alpha=10.0)
    assert set(stale.factors.measured.tolist()) == {5}  # after 0, 1, 3, 6 and 11 steps


def test_microbatches_give_the_step_of_the_whole_batch():
    settings = dict(rate=RATE, damping=DAMPING, accumulation="parameters", momentum=0.9)
    whole, _, one = run(3, **settings)
    cut, state, four = run(3, microbatches=4, **settings)
    np.testing.assert_allclose(flat(cut), flat(whole), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(four.loss, one.loss, rtol=1e-13)
    assert float(state.factors.count) == 3


@pytest.mark.slow
def test_microbatches_in_half_precision_are_added_in_single():
    settings = dict(rate=RATE, damping=DAMPING, accumulation="bfloat16")
    (_, whole, _), (_, cut, _) = run(1, **settings), run(1, microbatches=8, **settings)
    for one, other in zip(whole.factors.last, cut.factors.last, strict=True):
        assert one.dtype == other.dtype == jnp.bfloat16
        scale = float(jnp.max(jnp.abs(one)))
        difference = jnp.max(jnp.abs(one.astype(float) - other.astype(float)))
        assert float(difference) <= 2.0**-7 * scale  # both are rounded, and each part is


def test_the_momentum_falls_with_the_rate():
    falling = StaleNaturalGradient(rate=lambda count: 0.2 / (1 + count), momentum=0.5)
    constant = optimizers.get("sp-ngd", rate=0.2, momentum=0.5, schedule="constant")
    direction, velocity = {"w": jnp.asarray([1.0])}, {"w": jnp.asarray([4.0])}

    def found(optimizer, count):
        return optimizer.velocity(direction, velocity, jnp.int32(count))["w"]

    np.testing.assert_allclose(found(falling, 0), [0.5 * 4 - 0.2])
    np.testing.assert_allclose(found(falling, 3), [0.125 * 4 - 0.05])
    np.testing.assert_allclose(found(constant, 3), [0.5 * 4 - 0.2])


def test_the_momentum_stays_where_the_first_rate_is_zero():
    warm = StaleNaturalGradient(rate=lambda count: 0.001 * count, momentum=0.5)
    for count, rate in ((0, 0.0), (3, 0.003)):
        found = warm.velocity(jnp.asarray([1.0]), jnp.asarray([4.0]), jnp.int32(count))
        np.testing.assert_allclose(found, [0.5 * 4 - rate], rtol=1e-15)


def test_rescaled_weights_have_their_norm_and_others_stay():
    weight = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 2)))
    scaled = rescaled(weight)
    np.testing.assert_allclose(jnp.sum(scaled**2), 2 * 4)
    np.testing.assert_allclose(scaled / weight, (scaled / weight)[0, 0, 0])
    assert not rescaled(0 * weight).any()
    model, _, _ = run(2, rescale_weights=True, rate=RATE, damping=DAMPING)
    np.testing.assert_allclose(jnp.sum(model.first.weight**2), 12, rtol=1e-12)
    np.testing.assert_allclose(jnp.sum(model.last.weight**2), 6, rtol=1e-12)
    assert float(jnp.sum(model.norm.weight**2)) != pytest.approx(12, rel=1e-3)


def test_layers_side_by_side_are_rescaled_each_on_its_own():
    key, random = jax.random.key(0), np.random.default_rng(0)
    for layer, shape, outputs in (
        (eqx.nn.Linear(5, 3, key=key), (2, 3, 5), 3),
        (eqx.nn.Conv1d(4, 6, 2, groups=2, key=key), (2, 6, 2, 2), 6),
    ):
        heads = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(random.normal(size=shape)))
        sizes = np.sum(np.asarray(_rescaled(heads).weight).reshape(2, -1) ** 2, axis=1)
        np.testing.assert_allclose(sizes, 2 * outputs, rtol=1e-14)


def test_a_bias_beside_an_untrained_weight_is_not_rescaled():
    layer = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    frozen = eqx.tree_at(lambda m: m.weight, layer, jnp.ones((3, 2), int))
    assert eqx.tree_equal(_rescaled(frozen), frozen)


@pytest.mark.slow
def test_a_run_with_mixup_keeps_rows_of_probabilities():
    _, state, info = run(4, mixup=20.0, rate=RATE, damping=DAMPING)
    np.testing.assert_allclose(jnp.sum(state.mixture.targets, axis=1), 1, rtol=1e-12)
    assert np.any((state.mixture.targets > 0.01) & (state.mixture.targets < 0.99))
    assert bool(jnp.isfinite(info.loss))


def test_a_step_that_is_not_finite_is_refused_with_its_statistics():
    objective, model = blobs(), Normed()
    optimizer = optimizers.get("sp-ngd")
    batch = objective.draw(jax.random.key(3), 0)
    state, step = optimizer.init(model, objective, batch), eqx.filter_jit(optimizer.step)
    broken = eqx.tree_at(lambda b: b.inputs, batch, batch.inputs.at[0].set(jnp.nan))
    same, after, info = step(model, state, objective, broken, key=jax.random.key(0))
    assert not bool(info.accepted)
    assert eqx.tree_equal(same, model)
    assert eqx.tree_equal(after.factors, state.factors)


def test_a_refused_batch_leaves_the_mixture():
    objective, model, broken = blobs(), Normed(), (0, 2)
    optimizer = optimizers.get("sp-ngd", mixup=20.0, rate=RATE, damping=DAMPING)
    state = optimizer.init(model, objective, objective.draw(jax.random.key(3), 0))
    step = eqx.filter_jit(optimizer.step)
    for number in range(4):
        batch, before = objective.draw(jax.random.key(3), number), state.mixture
        if number in broken:
            batch = eqx.tree_at(lambda b: b.inputs, batch, batch.inputs.at[0].set(jnp.nan))
        model, state, info = step(model, state, objective, batch, key=jax.random.key(number))
        assert bool(info.accepted) == (number not in broken)
        if number in broken:
            assert eqx.tree_equal(state.mixture, before)
        else:  # nothing of the zeros that it began with
            np.testing.assert_allclose(jnp.sum(state.mixture.targets, axis=1), 1, rtol=1e-12)


def test_it_learns_three_clouds():
    objective, model = blobs(48), Normed()
    batch = objective.draw(jax.random.key(3), 0)
    _, state, info = run(30, objective, model)
    assert float(info.loss) < 0.2 * float(objective.loss(model, batch))
    assert 5 < max(state.factors.measured.tolist()) <= 30


@pytest.mark.parametrize(
    ("settings", "size", "words"),
    [
        ({"microbatches": 3}, 16, "cannot be cut into 3 microbatches on each of 1 devices"),
        ({}, 1, "the batch has one example"),
    ],
)
def test_batches_that_do_not_fit_are_refused(settings, size, words):
    objective = blobs(size)
    with pytest.raises(ValueError, match=words):
        optimizers.get("sp-ngd", **settings).init(network(), objective, objective.batch())
