"""Windows of time, on u_t = u with u = exp(t) sin(pi x) and polynomials in time as a model."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    FolderError,
    GaussLegendre,
    Interval,
    Points,
    Residual,
    ResidualObjective,
    SpaceTime,
    time_derivative,
    train,
    train_windows,
)
from pinn_ngd.evaluation import relative_l2
from pinn_ngd.models import WithUnknowns
from pinn_ngd.objectives.windows import InWindow, Window, in_window
from pinn_ngd.storage import Checkpoint
from pinn_ngd.training import RAD, AbstractCallback, accumulation
from pinn_ngd.training.windows import _handed_on
from pinn_ngd.validation import Corrected, watch
from pinn_ngd.validation.mesh import rules_of, starting_mesh
from pinn_ngd.validation.propagation import propagated

LENGTH = 2.0
DOMAIN = SpaceTime(Interval(0.0, LENGTH), Interval(0.0, 1.0))
RULE = GaussLegendre(DOMAIN, (8, 3))
INITIAL = GaussLegendre(DOMAIN.initial(), (1, 3))


class Polynomial(eqx.Module):
    """sum_i a_i (t / 2)^i sin(pi x)."""

    a: jax.Array

    def __call__(self, x):
        powers = jnp.stack([(x[0] / LENGTH) ** i for i in range(len(self.a))])
        return self.a @ powers * jnp.sin(jnp.pi * x[1])


def exact(x):
    return jnp.exp(x[0]) * jnp.sin(jnp.pi * x[1])


def equation(u, x):
    return time_derivative(u)(x) - u(x)


def start(u, x):
    return u(x) - jnp.sin(jnp.pi * x[1])


TERMS = [Residual(equation, RULE, name="growth"), Residual(start, INITIAL, name="initial")]
OBJECTIVE = ResidualObjective(TERMS)
MODEL = Polynomial(jnp.zeros(9))


def solved(windows, objective=OBJECTIVE, **options):
    options = {"steps": 6, "grow": False, "key": 0, **options}
    return train_windows(objective, MODEL, "engd-tr", windows=windows, **options)


@pytest.fixture(scope="module")
def three():
    return solved(3)


def error(function):
    return relative_l2(function, exact, GaussLegendre(DOMAIN, (60, 5)).quadrature())


def test_a_window_is_an_affine_map_of_time():
    window = Window(0.5, 1.0, DOMAIN.time)
    x = jnp.asarray([0.5, 0.3])
    np.testing.assert_allclose(window.inside(x), [0.625, 0.3])
    np.testing.assert_allclose(window.outside(window.inside(x)), x)
    slope = jax.jacfwd(InWindow(exact, window))(x)[0]  # the chain rule: T / (b - a) = 4
    np.testing.assert_allclose(slope, 4 * jax.jacfwd(exact)(window.outside(x))[0])


def test_the_exact_solution_has_no_residual_in_any_window():
    window = Window(0.5, 2.0, DOMAIN.time)
    posed = in_window(OBJECTIVE, window, exact)

    def model(x):  # the exact solution as a network of the whole interval
        return exact(window.inside(x))

    for block in posed.residuals(model, posed.batch()):
        np.testing.assert_allclose(block, 0.0, atol=1e-14)


@pytest.mark.slow
def test_more_windows_of_one_degree_are_more_accurate(three):
    one = solved(1)
    assert error(three.solution) < 0.02 * error(one.solution)
    assert error(three.solution) < 1e-10


def test_windows_join(three):
    for edge in three.edges[1:-1]:
        below, above = (three.solution(jnp.asarray([edge + s, 0.5])) for s in (-1e-9, 1e-9))
        np.testing.assert_allclose(below, above, rtol=1e-7)


def test_the_result_covers_all_windows(three):
    assert three.edges == (0.0, 2 / 3, 4 / 3, 2.0)
    assert len(three.windows) == len(three.accumulated) == 3
    assert three.steps == sum(r.steps for r in three.windows) <= 6
    steps = [line["step"] for line in three.history]
    assert steps == sorted(steps)
    assert steps[-1] == three.steps
    assert {line["window"] for line in three.history} == {1, 2, 3}
    assert "3 windows" in three.message


def test_an_error_at_the_start_is_carried_on_by_the_equation():
    window = Window(0.0, 2.0, DOMAIN.time)

    def initial(size):
        return lambda x: size * jnp.sin(jnp.pi * x[1])

    pair = [in_window(OBJECTIVE, window, initial(size)) for size in (1.0, 1.1)]
    change = propagated(*pair, MODEL)
    assert relative_l2(change, lambda x: 0.1 * exact(x), RULE.quadrature()) < 1e-6


def test_errors_that_are_handed_on_grow_as_the_equation_lets_them(three):
    # An error at the start of a window becomes exp(t) times it: its root mean square there is
    growth = np.sqrt((np.exp(4 / 3) - 1) / (4 / 3))
    first, *later = three.accumulated
    assert first.handed_on == first.growth == 0.0
    np.testing.assert_allclose([e.growth for e in later], growth, rtol=1e-4)
    # Over the solution, which grows by exp(2 / 3) from one window to the next:
    for early, late in zip(three.accumulated, later, strict=False):
        expected = early.solution * growth / np.exp(2 / 3)
        np.testing.assert_allclose(late.handed_on, expected, rtol=1e-4)


def test_the_estimates_are_the_errors(three):
    assert three.estimate is not None
    np.testing.assert_allclose(three.estimate.relative_l2, error(three.model), rtol=0.05)
    assert error(three.solution) < 2 * three.estimate.corrected_l2 < 1e-9


def test_budgets_are_shared_and_savings_passed_on():
    result = solved([0.0, 0.5, 2.0], steps=7)
    assert result.steps <= 7
    assert result.windows[0].steps <= 4


FEW = ResidualObjective(
    [Residual(equation, GaussLegendre(DOMAIN, (2, 1)), name="growth"), TERMS[1]]
)


@pytest.mark.slow
def test_a_window_starts_with_the_points_that_the_one_before_had_before_they_grew_last():
    result = solved(3, FEW, steps=36, stride=1, grow=True)
    first, second, third = (
        [line["points"] for line in result.history if line["window"] == k] for k in (1, 2, 3)
    )
    assert len(set(first)) > 2
    assert second[0] > first[0]
    for before, after in ((first, second), (second, third)):
        *earlier, last = sorted(set(before))
        assert after[0] == (earlier[-1] if earlier else last)


@pytest.mark.slow
def test_a_window_that_is_not_solved_borrows_from_later_ones(monkeypatch):
    shares = [solved(3, FEW, steps=12, stride=1, grow=True).windows]
    monkeypatch.setattr(watch, "SOLVED", np.inf)
    shares.append(solved(3, FEW, steps=12, stride=1, grow=True).windows)
    lent, equal = ([window.steps for window in windows] for windows in shares)
    assert equal == [4, 4, 4]
    assert 4 < lent[0] <= 8
    assert min(lent) >= 2
    assert sum(lent) <= 12


@pytest.mark.slow
def test_errors_are_handed_on_by_points_that_were_enough(monkeypatch):
    """On the five of the start a network could let them grow at will."""
    sizes = []

    def watched(objective, *others):
        sizes.append(sum(rule.size for rule in objective.rules))
        return propagated(objective, *others)

    monkeypatch.setattr(accumulation, "propagated", watched)
    model = Polynomial(jnp.zeros(16))
    result = train_windows(FEW, model, "engd-tr", windows=3, steps=45, stride=1, key=0)
    assert sizes == [sum(rule.size for rule in rules_of(FEW, r.cells)) for r in result.windows[1:]]
    assert min(sizes) > sum(rule.size for rule in FEW.rules)
    growth = np.sqrt((np.exp(4 / 3) - 1) / (4 / 3))
    np.testing.assert_allclose([e.growth for e in result.accumulated], [0, growth, growth], 1e-3)


def test_cells_of_other_terms_are_refused():
    with pytest.raises(ValueError, match="are of 1 terms, and the objective has 2"):
        train(OBJECTIVE, MODEL, "engd-tr", steps=1, key=0, cells=(((0, ()),),))


def test_later_windows_have_one_structure_whether_they_are_corrected_or_not(three):
    """So that a window uses the compiled code of the one before."""
    assert isinstance(three.windows[0].solution, Corrected)
    estimate = dataclasses.replace(three.windows[1].estimate, unexplained=1.0)
    plain = dataclasses.replace(three.windows[1], estimate=estimate)
    assert plain.solution is plain.model
    corrected, uncorrected = (_handed_on(result) for result in (three.windows[0], plain))
    same = jax.tree.map(lambda a, b: jax.typeof(a) == jax.typeof(b), corrected, uncorrected)
    assert all(jax.tree.leaves(same))
    x = jnp.asarray([1.9, 0.4])
    np.testing.assert_array_equal(uncorrected(x), plain.model(x))


class Seen(AbstractCallback):
    def __init__(self):
        self.starts, self.steps, self.ends = [], [], []

    def on_start(self, run):
        self.starts.append(run.steps)

    def on_step(self, record, model):
        self.steps.append((record["window"], record["step"], float(model(jnp.ones(2)))))

    def on_end(self, result):
        self.ends.append(result)


def test_callbacks_see_one_run_and_can_stop_it():
    seen = Seen()

    def stop(record):
        return "stop" if record["window"] == 2 else None

    result = solved(3, callbacks=[seen, stop])
    assert seen.starts == [6]
    assert seen.ends == [result]
    assert result.status == "stopped"
    assert len(result.windows) == 2
    assert "window 2 of 3" in result.message
    assert "Nothing is known after" in result.message


FIXED = Residual(start, Points(np.asarray([[0.5, 0.5]])), name="measured")
LAST = Residual(equation, GaussLegendre(DOMAIN.final(), (1, 3)), name="goal")
STEADY = ResidualObjective([Residual(equation, GaussLegendre(Interval(0.0, 1.0), 3))])


@pytest.mark.parametrize(
    ("objective", "windows", "words"),
    [
        (OBJECTIVE, [0.0, 1.0], "cover 0 to 1, but the problem lasts from 0 to 2"),
        (OBJECTIVE, [0.0, 1.5, 1.0, 2.0], "in rising order"),
        (OBJECTIVE, [2.0], "give a number of them"),
        (OBJECTIVE, 0, "give one or more"),
        (ResidualObjective(TERMS[:1]), 2, "no term lives at the start"),
        (ResidualObjective([*TERMS, FIXED]), 2, "'measured' is on points of its own"),
        (ResidualObjective([*TERMS, LAST]), 2, "'goal' lives at the end"),
        (STEADY, 2, "no term has points in a `SpaceTime` domain"),
    ],
)
def test_what_cannot_be_cut_is_refused(objective, windows, words):
    with pytest.raises(ValueError, match=words):
        solved(windows, objective)


class Died(Exception):
    pass


def dies(number, times):
    """A callback that ends the process, as it were, at a step of a window."""

    def callback(record):
        if record["window"] == number:
            times.append(record["step"])
            if len(times) == 2:
                raise Died

    return callback


@pytest.mark.slow
def test_a_run_that_dies_within_a_window_goes_on_there_bit_for_bit(tmp_path):
    options = {"steps": 36, "stride": 1, "grow": True, "objective": FEW}
    whole = solved(3, checkpoint=tmp_path / "whole.eqx", **options)
    assert whole.windows[0].cells != starting_mesh(FEW)
    kept = Checkpoint(tmp_path / "cut.eqx", every_seconds=0.0)
    with pytest.raises(Died):
        solved(3, checkpoint=kept, callbacks=dies(2, []), **options)
    names = [path.name for path in sorted(tmp_path.glob("cut*"))]
    assert names == ["cut-window-1.eqx", "cut-window-2.eqx"]

    seen = Seen()
    again = solved(3, checkpoint=kept, resume=True, callbacks=seen, **options)
    first = seen.steps[0][:2]
    assert first == (2, whole.windows[0].steps + 2)  # the step at which it died
    assert seen.ends == [again]
    pairs = zip(
        *(jax.tree.leaves(eqx.filter(r.model, eqx.is_array)) for r in (again, whole)), strict=True
    )
    for mine, other in pairs:
        np.testing.assert_array_equal(mine, other)
    x = jnp.asarray([1.9, 0.4])
    assert float(again.solution(x)) == float(whole.solution(x))
    for name in ("status", "message", "steps", "loss", "held_out", "edges", "accumulated"):
        if name != "held_out":
            assert getattr(again, name) == getattr(whole, name), name
    assert again.held_out.terms == whole.held_out.terms

    # Once all windows have ended they are read, and nothing is trained.
    seen = Seen()
    read = solved(3, checkpoint=kept, resume=True, callbacks=seen, **options)
    assert (seen.steps, seen.ends, read.message) == ([], [read], whole.message)
    # Other windows are another run, and a new run removes what an older one left.
    with pytest.raises(FolderError, match="belongs to another run"):
        solved([0.0, 0.5, 1.0, 2.0], checkpoint=kept, resume=True, **options)
    with pytest.raises(Died):
        solved(3, checkpoint=kept, callbacks=dies(1, []), **options)
    assert [path.name for path in tmp_path.glob("cut*")] == ["cut-window-1.eqx"]


def test_without_a_first_window_nothing_can_go_on(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        solved(2, checkpoint=tmp_path / "none.eqx", resume=True)
    with pytest.raises(ValueError, match="`resume` needs `checkpoint`"):
        solved(2, resume=True)


def test_named_weights_move_into_the_window():
    """On a window twice as short the weight at a point is the one at its own time."""
    weighed = Residual(lambda u, x: {"a": u(x)}, RULE, {"a": lambda x: 1 + 100 * x[0]}, "pde")
    objective = ResidualObjective([weighed, TERMS[1]])
    moved = in_window(objective, Window(1.0, 2.0, DOMAIN.time), None)
    x = jnp.asarray([0.5, 0.3])  # stands for the time 1.25
    assert float(moved.terms[0].weight["a"](x)) == pytest.approx(1 + 100 * 1.25)


def test_what_windows_cannot_take_is_said_before_the_first():
    with pytest.raises(ValueError, match="callbacks that move points, such as RAD"):
        solved(2, callbacks=[RAD(every=3)])
    with pytest.raises(ValueError, match="every window would find its own"):
        train_windows(OBJECTIVE, WithUnknowns(MODEL, k=1.0), "engd-tr", windows=2, steps=2, key=0)
    with pytest.raises(ValueError, match="leave `overtime` out"):
        solved(2, overtime=2)
    for windows in (0, -1):
        with pytest.raises(ValueError, match="give one or more"):
            solved(windows)
