"""What a watch decides, from losses that are made up."""

import dataclasses
import json
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Energy,
    EnergyObjective,
    GaussLegendre,
    MonteCarlo,
    Residual,
    ResidualObjective,
    optimizers,
    train,
)
from pinn_ngd.models import MLP
from pinn_ngd.storage import Checkpoint
from pinn_ngd.validation import Look, Watch
from pinn_ngd.validation import watch as watch_module
from pinn_ngd.validation.watch import LARGEST_GROWTH
from tests.training.helpers import InterruptAt, regression
from tests.training.helpers import model as regression_model
from tests.validation.conftest import LINE, Sines, poisson

SOLUTION = (1.0, 0.3, -0.2)
OBJECTIVE = poisson(SOLUTION)
WRONG = Sines(jnp.asarray([0.5, -0.4, 0.1]))


def made_up(loss, *, before=math.inf, start=1.0, grow=True, objective=OBJECTIVE):
    """A watch that has seen the losses; every held-out point has its weight as its mass."""
    watch = Watch(objective, grow=grow)
    assert watch.held is not None
    masses = tuple(watch.held.weights)
    watch.look = Look(loss, {}, masses, "interior", (0.5,))
    watch.before, watch.start_loss = before, start
    return watch


@pytest.mark.parametrize(
    ("training", "held_out", "before", "stalled", "gap"),
    [
        (-1.0, 5.0, 5.0, False, True),
        (-1.0, 5.0, 6.0, False, False),  # still falls
        (-1.0, 5.0, 6.0, True, True),
        (-5.0, -5.0 + 1e-9, -5.0, True, False),  # the quadrature is good enough
        (-5.0, -5.1, -5.0, True, False),
        (-1.0, math.nan, 1.0, True, False),
    ],
)
def test_a_gap_of_an_energy_is_its_quadrature_error(training, held_out, before, stalled, gap):
    watch = made_up(held_out, before=before)
    watch.of_energy = True
    assert watch.gap(training, stalled=stalled) is gap


@pytest.mark.parametrize(
    ("training", "held_out", "before", "stalled", "gap"),
    [
        (1.0, 3.9, 3.9, False, False),  # as large, nearly
        (1.0, 3.9, 3.9, True, False),
        (1.0, 4.1, 4.1, False, True),
        (1.0, 4.1, 8.0, False, True),  # falls too slowly
        (1.0, 4.1, 8.3, False, False),  # still halves
        (1.0, 4.1, 8.3, True, True),  # and nothing will
        (1e-30, 9e-21, 9e-21, True, False),  # negligible against the start, which is 1
        (1e-30, 1.1e-20, 1.1e-20, False, True),
        (1.0, math.nan, 1.0, True, False),
        (1.0, math.inf, 1.0, False, True),
    ],
)
def test_a_gap_is_a_held_out_loss_that_no_longer_follows(training, held_out, before, stalled, gap):
    assert made_up(held_out, before=before).gap(training, stalled=stalled) is gap


def test_without_a_look_there_is_no_gap():
    assert not Watch(OBJECTIVE, grow=True).gap(0.0, stalled=True)


def test_only_a_watch_that_may_grow_adds_points():
    fixed, blind = made_up(1.0, grow=False), Watch(OBJECTIVE, grow=True)
    for watch in (fixed, blind):
        assert not watch.refine(WRONG)
        assert (watch.points, watch.objective) == (10, OBJECTIVE)


def test_where_the_last_growth_did_not_pay_cells_are_cut():
    watch = made_up(0.3)
    watch.grown_at = 2.9
    assert watch.refine(WRONG)
    inside, ends = watch.mesh
    assert {axis for _, steps in inside for axis, _ in steps} == {0}
    assert ends == ((0, ()), (1, ()))  # a point cannot be cut
    assert 12 < watch.points <= 20
    assert watch.grown_at == 0.3


def test_where_the_last_growth_paid_all_cells_get_more_points():
    watch = made_up(0.3)
    watch.grown_at = 3.1
    assert watch.refine(WRONG)
    assert watch.mesh == (((0, ((-1, 0),)),), ((0, ()), (1, ())))
    assert watch.points == 12 + 2
    assert watch.grown_at == 0.3


def test_a_look_at_a_part_of_the_points_tells_nearly_the_same(monkeypatch):
    """And cells are cut by the residuals of all of them."""
    fine = poisson(SOLUTION, points=400)
    batch, found = fine.batch(), []
    monkeypatch.setattr(watch_module, "FEWEST", 1)
    for largest in (1000, 200):
        monkeypatch.setattr(watch_module, "LARGEST_LOOK", largest)
        watch = Watch(fine, grow=True)
        watch.start(WRONG)
        assert watch.look is not None
        assert sum(mass.size for mass in watch.look.masses) == pytest.approx(
            min(largest, 1.6 * 400 + 2), abs=2
        )
        watch.grown_at, numbers = 0.0, watch.look_at(WRONG, batch)
        assert watch.refine(WRONG)
        found.append((numbers["held_out_loss"], numbers["loss_interior"], watch.mesh))
    (*whole, mesh), (*part, same) = found
    assert part != whole
    np.testing.assert_allclose(part, whole, rtol=0.3)
    assert mesh == same


def test_an_energy_is_looked_at_everywhere(monkeypatch):
    """Its quadrature error counts, beside which that of a sample of the points would be large."""
    monkeypatch.setattr(watch_module, "LARGEST_LOOK", 20)
    objective = EnergyObjective(
        [Energy(lambda _, features: features[0] ** 2, GaussLegendre(LINE, 100))]
    )
    watch = Watch(objective, grow=True)
    watch.start(WRONG)
    numbers = watch.look_at(WRONG, objective.batch())
    assert watch.look is not None
    assert watch.held is not None
    assert watch.look.masses[0].size == watch.held.size > 20
    assert numbers["loss_energy"] == pytest.approx(numbers["held_out_energy"], rel=1e-9)


def test_before_any_growth_nothing_speaks_for_cuts():
    watch = made_up(0.3)
    assert watch.refine(WRONG)
    assert watch.mesh[0] == ((0, ((-1, 0),)),)


def test_growth_ends_at_a_multiple_of_the_first_points():
    watch, sizes = made_up(1.0), [10]
    watch.grown_at = math.inf
    while True:
        assert watch.held is not None
        assert watch.look is not None
        masses = tuple(watch.held.weights)
        watch.look = dataclasses.replace(watch.look, loss=0.01 * watch.look.loss, masses=masses)
        if not watch.refine(WRONG):
            break
        sizes.append(watch.points)
    assert np.all(np.diff(sizes) > 0)
    assert LARGEST_GROWTH / 2 < sizes[-1] / sizes[0] <= LARGEST_GROWTH
    assert watch.points == sizes[-1]


def test_the_points_of_a_growth_are_new_held_out_ones_too():
    watch = made_up(0.3)
    before = watch.held
    watch.refine(WRONG)
    assert watch.held is not before
    trained = {float(x) for x in watch.objective.batch()[0].points[:, 0]}
    assert watch.held is not None
    assert trained.isdisjoint(float(x) for x in watch.held.batch[0].points[:, 0])


def test_its_state_survives_json():
    watch = made_up(0.3, before=0.7, start=2.0)
    watch.refine(WRONG)
    watch.pending = True
    other = Watch(OBJECTIVE, grow=True)
    other.restore(json.loads(json.dumps(watch.state)))
    assert other.state == watch.state
    assert other.before == 0.3  # what the next look will be compared with
    assert other.objective.rules == watch.objective.rules
    assert (other.points, other.start_loss, other.pending) == (watch.points, 2.0, True)


def test_the_state_of_a_watch_that_saw_nothing_survives_json():
    state = Watch(OBJECTIVE, grow=True).state
    again = json.loads(json.dumps(state))
    other = Watch(OBJECTIVE, grow=True)
    other.restore(again)
    assert math.isnan(other.start_loss)
    assert (other.before, other.mesh, other.objective.rules) == (
        math.inf,
        state["mesh"],
        OBJECTIVE.rules,
    )


def test_a_growth_that_was_due_is_made_up_for():
    uncut, cut = made_up(1.0), Watch(OBJECTIVE, grow=True)
    assert uncut.held is not None
    uncut.look = uncut.held(WRONG)
    cut.restore(json.loads(json.dumps({**uncut.state, "pending": True})))
    assert uncut.refine(WRONG)
    assert cut.refine_at(WRONG)
    assert cut.state == uncut.state


def test_a_look_tells_losses_by_term_and_the_number_of_points():
    watch = Watch(OBJECTIVE, grow=True)
    watch.start(WRONG)
    batch = OBJECTIVE.batch()
    numbers = watch.look_at(WRONG, batch)
    assert numbers["held_out_loss"] == watch.start_loss == watch.before
    assert numbers["points"] == 10
    for kind, loss in (("loss", float(OBJECTIVE.loss(WRONG, batch))), ("held_out", watch.before)):
        parts = numbers[f"{kind}_interior"] + numbers[f"{kind}_ends"]
        assert parts == pytest.approx(loss, rel=1e-12)
    watch.look_at(Sines(jnp.asarray(SOLUTION)), batch)
    assert watch.before == watch.start_loss > 1.0
    assert watch.look is not None
    assert watch.look.loss < 1e-20


def test_a_look_forgets_the_estimate_of_another_model():
    watch = Watch(OBJECTIVE, grow=True)
    numbers = watch.measure(WRONG)
    assert set(numbers) == {
        "estimated_relative_l2", "estimated_relative_h1", "estimated_corrected_l2", "unexplained",
    }  # fmt: skip
    assert watch.estimate is not None
    assert watch.estimate.relative_l2 == numbers["estimated_relative_l2"]
    watch.look_at(WRONG, OBJECTIVE.batch())
    assert watch.estimate is None


def test_what_is_no_function_of_a_point_is_looked_at_and_not_measured():
    objective = ResidualObjective([Residual(lambda u, x: u["a"] * x[0], GaussLegendre(LINE, 4))])
    watch, model = Watch(objective, grow=True), {"a": jnp.asarray(2.0)}
    assert watch.look_at(model, objective.batch())["held_out_loss"] == pytest.approx(2 / 3)
    assert watch.measure(model) == {}


def test_points_that_are_drawn_anew_are_looked_at_and_do_not_grow():
    drawn = ResidualObjective([Residual(lambda u, x: u(x), MonteCarlo(LINE, 4))])
    watch = made_up(1.0, before=1.0, objective=drawn)
    assert not watch.grow
    assert watch.gap(0.0)
    assert not watch.refine(WRONG)


def test_an_objective_without_points_is_left_alone():
    objective, model = regression(), regression_model()
    watch = Watch(objective, grow=True)
    watch.start(model)
    assert watch.look_at(model, objective.batch()) == {}
    assert not watch.gap(0.0, stalled=True)
    assert not watch.refine(WRONG)
    assert not watch.refine_at(model)
    other = Watch(objective, grow=True)
    other.restore(json.loads(json.dumps(watch.state)))
    assert other.objective is objective


def _wave(u, x):
    return u(x) - jnp.sin(9 * x[0])


FEW = ResidualObjective([Residual(_wave, GaussLegendre(LINE, 5))])
NET = MLP((1, 6, 1), key=jax.random.key(0), domain=LINE)
STEPS = 12


def run(steps=STEPS, **more):
    return train(FEW, NET, optimizers.get("engd-tr"), steps=steps, key=jax.random.key(1), **more)


def points_of(result):
    return [line["points"] for line in result.history]


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.mark.slow
def test_a_run_that_is_cut_after_any_step_goes_on_as_if_it_had_not_been(whole, tmp_path):
    assert points_of(whole)[0] < points_of(whole)[-1]
    for cut in range(STEPS + 1):
        checkpoint = Checkpoint(tmp_path / f"{cut}.eqx")
        first = run(cut, checkpoint=checkpoint)
        rest = run(checkpoint=checkpoint, resume=True)
        assert eqx.tree_equal(rest.model, whole.model)
        assert points_of(first) + points_of(rest) == points_of(whole)


@pytest.mark.slow
def test_an_interrupt_where_points_are_due_is_resumed_as_if_it_had_not_been(whole, tmp_path):
    points = points_of(whole)
    due = int(np.flatnonzero(np.diff(points))[0]) + 1  # the growth follows this step
    checkpoint = Checkpoint(tmp_path / "cut.eqx")
    assert run(checkpoint=checkpoint, callbacks=[InterruptAt(due)]).status == "interrupted"
    rest = run(checkpoint=checkpoint, resume=True)
    assert points_of(rest) == points[due:]
    assert eqx.tree_equal(rest.model, whole.model)
