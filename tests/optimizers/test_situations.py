"""Every optimizer where trouble is usual: at the solution, and beside points that are none."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    GaussLegendre,
    Grid,
    Interval,
    PointwiseState,
    Residual,
    ResidualObjective,
    laplacian,
    metrics,
    optimizers,
    train,
)
from pinn_ngd.optimizers import Armijo, FixedStep, GridLineSearch
from pinn_ngd.training import AbstractCallback
from pinn_ngd.training.advance import StepRefused, refusals

UNIT = Interval(0.0, 1.0)
ENDS = GaussLegendre(UNIT.boundary(), 1)
INSIDE = GaussLegendre(UNIT, 3)
FAST = ("engd-tr", "gd", "spring", "lbfgs", "adam")


class Line(eqx.Module):
    """u(x) = a x + b."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        return self.a * x[0] + self.b


def _line(a, b):
    return Line(jnp.asarray(float(a)), jnp.asarray(float(b)))


OBJECTIVES = {
    "one term": ResidualObjective([Residual(lambda u, x: u(x) - x[0], INSIDE)]),
    "two terms": ResidualObjective(
        [Residual(lambda u, x: laplacian(u)(x), INSIDE), Residual(lambda u, x: u(x) - x[0], ENDS)]
    ),
    "vector term": ResidualObjective(
        [Residual(lambda u, x: jnp.stack([u(x) - x[0], 2 * u(x) - 2 * x[0]]), INSIDE)]
    ),
}
# Its gradient is so long that most step lengths lead where the root is no number.
ROOT = ResidualObjective([Residual(lambda u, x: 1e3 * (jnp.sqrt(u(x)) - jnp.sqrt(1e-2)), INSIDE)])


def _optimizer(name):
    if name != "wngd":
        return optimizers.get(name)
    grid = Grid(UNIT, (6,))
    return optimizers.get("wngd", metric=metrics.get("l2", state=PointwiseState(grid)))


# They need layers that see examples, or in `kfac-pinn` points, and the line below has no layer.
OF_LAYERS = ("kfac", "ekfac", "seng", "sp-ngd", "kfac-pinn")
OF_DISTRIBUTIONS = ("sngd", "megd", "csngd", "dsngd", "ngd-gp")  # and no network


def _all_but_fast_are_slow():
    marks = {True: (), False: (pytest.mark.slow,)}
    names = [name for name in optimizers.names() if name not in OF_LAYERS + OF_DISTRIBUTIONS]
    return [pytest.param(name, marks=marks[name in FAST]) for name in names]


def _train(name, objective, model, steps=3):
    return train(objective, model, _optimizer(name), steps=steps, key=0, grow=False)


@pytest.mark.parametrize("name", _all_but_fast_are_slow())
@pytest.mark.slow
def test_a_perfect_fit_at_the_start_stays_and_is_no_failure(name):
    for label, objective in OBJECTIVES.items():
        found = _train(name, objective, _line(1, 0))
        assert (float(found.model.a), float(found.model.b)) == (1, 0), label
        assert found.loss == 0
        assert found.status in ("converged", "budget"), (label, found.message)
        assert "no step" not in found.message


@pytest.mark.parametrize("name", _all_but_fast_are_slow())
def test_numbers_that_are_none_among_the_candidates_do_not_end_a_run(name):
    found = _train(name, ROOT, _line(0.1, 0.2), steps=5)
    start = float(ROOT.loss(_line(0.1, 0.2), ROOT.batch()))
    losses = [record["loss"] for record in found.history]
    if found.status == "failed":  # a fixed rate has no other candidate, and says what to change
        assert name in ("ngd", "ngd-woodbury", "ngd-cg", "tngd", "spectral-clipping", "sgd")
        assert "smaller step" in found.message
    else:
        assert np.all(np.isfinite(losses))
        assert losses[-1] < start or name in ("adam", "signsgd", "tngd-adam", "sgd")
    assert np.isfinite(float(ROOT.loss(found.model, ROOT.batch())))


@pytest.mark.parametrize("bad", [jnp.nan, -jnp.inf])
@pytest.mark.parametrize(
    "search", [GridLineSearch(), Armijo(), FixedStep()], ids=lambda s: type(s).__name__
)
def test_a_search_takes_what_is_not_finite_for_infinite(search, bad):
    def reduction(t):
        return jnp.where(t < 0.02, t, bad)

    found = jax.jit(lambda: search(reduction, jnp.asarray(1.0), lambda t: t))()
    if isinstance(search, FixedStep):  # it has no other candidate
        assert not found.accepted
    else:
        assert found.accepted
        assert 0.01 <= found.step < 0.02
    never = jax.jit(lambda: search(lambda t: bad + 0 * t, jnp.asarray(1.0), lambda t: t))()
    assert not never.accepted


def test_a_search_without_a_finite_candidate_keeps_the_loss_and_the_model():
    wall = ResidualObjective(  # any step, however small, leaves the interval
        [Residual(lambda u, x: jnp.where(u(x) == 0.5 * x[0], u(x) + 1, jnp.nan), INSIDE)]
    )
    found = _train("gd", wall, _line(0.5, 0.0))
    assert found.status != "failed"
    assert found.loss == float(wall.loss(_line(0.5, 0.0), wall.batch()))


def test_a_check_that_fails_in_mid_run_ends_it_with_the_last_model(tmp_path):
    """The metric's check holds for the first models and fails for a later one."""

    class Strict(optimizers.NaturalGradient):
        def step(self, model, state, objective, batch, *, key):
            new, state, info = super().step(model, state, objective, batch, key=key)
            wrong = model.a < 2
            info = eqx.tree_at(
                lambda i: i.loss,
                info,
                eqx.error_if(info.loss, wrong, "tangents do not conserve mass."),
            )
            return new, state, info

    optimizer = Strict(search=FixedStep(0.3))
    told = []

    class Teller(AbstractCallback):
        def on_end(self, found):
            told.append(found)

    path = tmp_path / "run.ckpt"
    found = train(
        OBJECTIVES["one term"], _line(5, 0), optimizer, steps=20, key=0, grow=False,
        callbacks=Teller(), checkpoint=path,
    )  # fmt: skip
    assert found.status == "failed"
    assert "is refused and the last model kept: tangents do not conserve mass." in found.message
    assert 0 < found.steps < 20
    assert float(found.model.a) < 2
    assert np.isfinite(found.loss)
    assert found.loss == found.history[-1]["loss"]
    assert path.is_file()
    assert told == [found]
    with pytest.raises(ValueError, match="tangents do not conserve mass"):  # nothing to keep
        train(OBJECTIVES["one term"], _line(1, 0), optimizer, steps=20, key=0, grow=False)


def test_only_checks_are_refusals():
    with pytest.raises(RuntimeError), refusals(3):
        raise RuntimeError
    with refusals(3) as refused:
        raise StepRefused("mass is lost.")
    assert refused[0].status == "failed"
    assert refused[0].message.startswith("step 4 is refused")
    with pytest.raises(StepRefused), refusals(0):
        raise StepRefused("mass is lost.")
