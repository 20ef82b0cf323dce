"""Steps of a part of the rows, then of all of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import GaussLegendre, Interval, Residual, ResidualObjective, optimizers
from pinn_ngd.optimizers import SubsampledTrustRegion, TrustRegion, TwoPhase
from tests.optimizers.helpers import ritz_1d

LINE = Interval(0.0, 1.0)
KEY = jax.random.key(0)


class Powers(eqx.Module):
    """A model that is not linear in its parameters."""

    c: jax.Array

    def __call__(self, x):
        return jnp.sum(jnp.sin(self.c * x[0]))


OBJECTIVE = ResidualObjective(
    [Residual(lambda u, x: u(x) - jnp.exp(x[0]), GaussLegendre(LINE, 40), name="fit")]
)
BATCH, START = OBJECTIVE.batch(KEY), Powers(jnp.asarray([0.3, 0.9, 1.7]))
PART, WHOLE = SubsampledTrustRegion(rows=8), TrustRegion()


def test_the_steps_are_those_of_the_two_and_the_full_one_starts_from_the_best():
    both = TwoPhase(PART, WHOLE, first=2)
    step, part, whole = (eqx.filter_jit(o.step) for o in (both, PART, WHOLE))
    model, state = START, both.init(START, OBJECTIVE, BATCH)
    mine, mine_state = START, PART.init(START, OBJECTIVE, BATCH)
    for number in range(2):
        key = jax.random.key(number)
        model, state, _ = step(model, state, OBJECTIVE, BATCH, key=key)
        mine, mine_state, _ = part(mine, mine_state, OBJECTIVE, BATCH, key=key)
        np.testing.assert_allclose(model.c, mine.c, rtol=1e-12)
    best = PART.answer(mine, mine_state)
    start = WHOLE.init(best, OBJECTIVE, BATCH)
    expected, _, told = whole(best, start, OBJECTIVE, BATCH, key=KEY)
    model, state, info = step(model, state, OBJECTIVE, BATCH, key=KEY)
    np.testing.assert_allclose(model.c, expected.c, rtol=1e-9)
    assert float(info.loss) == pytest.approx(float(told.loss), rel=1e-9)
    assert float(info.loss) == pytest.approx(float(OBJECTIVE.loss(model, BATCH)), rel=1e-9)
    np.testing.assert_array_equal(both.answer(model, state).c, model.c)
    np.testing.assert_array_equal(state.part.direction.c, 0.0)
    again = both.refreshed(state)
    assert np.isinf(again.part.best_loss)
    assert int(again.count) == 2
    once_more, *_ = step(model, state, OBJECTIVE, BATCH, key=KEY)
    assert float(OBJECTIVE.loss(once_more, BATCH)) < float(info.loss)


def test_its_cost_is_that_of_a_part_and_its_memory_that_of_a_full_step():
    part, whole = (o.cost(OBJECTIVE, START, BATCH) for o in (PART, WHOLE))
    both = TwoPhase(PART, WHOLE, first=4).cost(OBJECTIVE, START, BATCH)
    assert both.operations == part.operations
    assert both.bytes == whole.bytes


def test_it_is_a_setting_of_engd_sub_and_refuses_what_that_refuses():
    assert isinstance(optimizers.get("engd-sub"), SubsampledTrustRegion)
    found = optimizers.get("engd-sub", full_after=7, rows=9)
    assert isinstance(found, TwoPhase)
    assert (found.first, found.part.rows) == (7, 9)
    energy = ritz_1d(4)
    with pytest.raises(ValueError, match="takes a part of the rows"):
        found.init(START, energy, energy.batch(KEY))
