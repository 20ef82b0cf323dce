"""Points that move: where they go, what they weigh, and that resumed runs repeat uncut ones."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    RAD,
    GaussLegendre,
    Interval,
    MonteCarlo,
    Points,
    Residual,
    ResidualObjective,
    Sobol,
    train,
)
from pinn_ngd.models import MLP
from pinn_ngd.training import Run
from pinn_ngd.training.adaptive import moved_again, numbers_of

LINE = Interval(0.0, 1.0)


def layer(u, x):
    """Zero but near x = 0.8."""
    return u(x) - jnp.exp(-(((x[0] - 0.8) / 0.05) ** 2))


OBJECTIVE = ResidualObjective(
    [
        Residual(layer, Sobol(LINE, 64), name="layer"),
        Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1), name="ends"),
    ]
)
NET = MLP((1, 6, 1), key=jax.random.key(0), domain=LINE)


def started(rad, objective=OBJECTIVE):
    rad.on_start(
        Run(
            steps=10, seconds=None, start=0, start_seconds=0.0, resumed=False, stride=1,
            objective=objective, optimizer=None, model=NET,
        )
    )  # fmt: skip
    return rad


def zero(x):
    return 0.0 * x[0]


def test_points_are_drawn_where_the_residual_is_large():
    batch = OBJECTIVE.batch()
    rad = started(RAD(5, k=2.0, c=0.0))
    assert rad.points({"step": 4}, zero, OBJECTIVE, batch) is None
    new, ends = rad.points({"step": 5}, zero, OBJECTIVE, batch)
    assert rad.points({"step": 9}, zero, OBJECTIVE, batch) is None
    x = np.asarray(new.points)[:, 0]
    assert x.shape == (64,)
    assert np.all(np.abs(x - 0.8) < 0.25)
    np.testing.assert_allclose(new.weights, 1 / 64)
    assert ends is batch[1]
    assert jax.tree.structure((new, ends)) == jax.tree.structure(batch)


def test_with_c_some_points_stay_everywhere_and_unbiased_ones_integrate():
    batch = OBJECTIVE.batch()
    rad = started(RAD(1, k=1.0, c=1.0, unbiased=True))
    values = []
    for step in range(1, 21):
        new, _ = rad.points({"step": step}, zero, OBJECTIVE, batch)
        assert float(new.weights.sum()) == pytest.approx(1.0)
        values.append(float(new.integrate(lambda x: x[0])))
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)
    assert np.sum(np.asarray(new.points) < 0.5) > 8


@pytest.mark.slow
def test_a_run_cut_anywhere_moves_its_points_as_the_uncut_one(tmp_path):
    def solve(steps, **settings):
        return train(
            OBJECTIVE, NET, "engd-tr", steps=steps, key=1, grow=False, stride=2,
            callbacks=RAD(4), **settings,
        )  # fmt: skip

    whole = solve(12)
    solve(6, checkpoint=tmp_path / "half.eqx")
    rest = solve(12, checkpoint=tmp_path / "half.eqx", resume=True)
    same = jax.tree.map(np.array_equal, rest.model, whole.model)
    assert all(jax.tree.leaves(eqx.filter(same, lambda leaf: isinstance(leaf, bool))))
    fixed = train(OBJECTIVE, NET, "engd-tr", steps=12, key=1, grow=False, stride=2)
    assert fixed.loss != whole.loss


def test_points_survive_a_checkpoint_beside_complex_values():
    values = jnp.asarray([1.0 + 2.0j, -0.5j, 3.0])
    given = Points(np.linspace(0.0, 1.0, 3)[:, None], values=values).quadrature()
    batch = OBJECTIVE.batch()[0], given
    kept = json.loads(json.dumps(numbers_of(batch, True)))
    other = jax.tree.map(jnp.zeros_like, batch)
    again, moved = moved_again(other, kept)
    assert moved
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), again, batch))
    assert again[1].values.dtype == values.dtype
    assert moved_again(batch, numbers_of(batch, False)) == (batch, False)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: RAD(0), "`every` = 0 is too small"),
        (lambda: RAD(k=-1.0), "`k` = -1.0 is too small"),
        (lambda: RAD(candidates=1), "two or more"),
        (lambda: started(RAD(terms=["shock"])), "'shock'; the terms are layer, ends"),
        (
            lambda: started(RAD(), ResidualObjective([Residual(layer, MonteCarlo(LINE, 8))])),
            "resampled=False",
        ),
        (
            lambda: started(RAD(), ResidualObjective([Residual(layer, LINE_POINTS)])),
            "no term lives on a whole domain",
        ),
        (
            lambda: started(
                RAD(terms=["a"]), ResidualObjective([Residual(layer, LINE_POINTS, name="a")])
            ),
            "no region to draw from",
        ),
    ],
)
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


LINE_POINTS = Points(np.linspace(0, 1, 5))
