"""A metric's check that fails while a run goes on ends the run, which keeps what it has."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ExplicitState, Grid, Interval, StateObjective, optimizers, train

GRID = Grid(Interval(0.0, 1.0), (40,))


class Bump(eqx.Module):
    """A normal density of width 0.05, whose mass leaves the interval as its center does."""

    center: jax.Array


def _density(model):
    x = GRID.points[:, 0]
    width = 0.05
    height = 1 / (width * jnp.sqrt(2 * jnp.pi))
    return height * jnp.exp(-((x - model.center) ** 2) / (2 * width**2)) + 1e-3


def _mean(rho):
    return -jnp.sum(rho * GRID.points[:, 0]) * GRID.cell_volume


def _run(center, **settings):
    objective = StateObjective(ExplicitState(GRID, _density), _mean)
    optimizer = optimizers.get("wngd", search="fixed", rate=0.05, damping=1e-8, **settings)
    return train(objective, Bump(jnp.asarray(center)), optimizer, steps=12, key=0)


@pytest.mark.slow
def test_mass_that_is_lost_in_mid_run_ends_it_with_the_last_model():
    found = _run(0.5)
    assert found.status == "failed"
    assert "is refused and the last model kept: the tangents" in found.message
    assert "do not conserve mass" in found.message
    assert 0 < found.steps < 12
    assert 0.5 < float(found.model.center) < 1
    assert found.loss == pytest.approx(float(_mean(_density(found.model))))
    assert len(found.history) == found.steps


def test_the_cure_that_the_sentence_names_lets_it_go_on():
    found = _run(0.5, **{"metric.mass": "project"})
    assert found.status != "failed"
    assert np.isfinite(found.loss)


def test_a_check_that_fails_at_the_start_is_raised():
    with pytest.raises(ValueError, match="do not conserve mass"):
        _run(0.97)
