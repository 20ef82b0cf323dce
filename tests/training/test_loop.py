"""Budgets, ends in words, one compilation, evaluation and callbacks of the loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ClassificationObjective, Shuffled, optimizers
from pinn_ngd.objectives import Generated
from pinn_ngd.training import StopWhen, train
from pinn_ngd.training.clock import EvaluationClock
from pinn_ngd.training.result import Budget

from .helpers import (
    Counter,
    Descent,
    Fussy,
    InterruptAt,
    Linear,
    Listener,
    PlainDescent,
    Regression,
    model,
    regression,
    solve,
)


def test_descent_finds_the_solution_of_a_linear_model():
    result = solve(Descent(rate=0.5), steps=400, stride=50)
    assert (result.status, result.message) == ("budget", "reached the budget of 400 steps")
    np.testing.assert_allclose(result.model.weight, [1.0, -2.0, 3.0], atol=1e-9)
    assert result.loss < 1e-18
    assert result.compile_seconds > 0


def test_the_history_has_a_line_a_call_with_the_loss_of_the_quadratic():
    result = solve(steps=2)
    objective = regression()
    batch = objective.batch()
    assert [line["step"] for line in result.history] == [1, 2]
    assert result.history[0]["loss"] == pytest.approx(float(objective.loss(model(), batch)))
    assert set(result.history[0]) == {
        *("step", "seconds", "loss", "gradient_norm", "damping"),
        *("step_length", "predicted", "actual", "accepted"),
    }
    assert result.history[0]["accepted"] is True


@pytest.mark.parametrize("stride", [1, 4])
def test_a_step_is_traced_once_even_when_points_are_resampled(stride):
    optimizer = Descent(traces=Counter())
    result = solve(optimizer, resampled=True, steps=11, stride=stride)
    assert result.steps == 11
    assert len(optimizer.traces) == 1


def test_strides_make_the_same_steps_and_never_overrun_the_budget():
    one, many = solve(steps=10, stride=1), solve(steps=10, stride=4)
    np.testing.assert_allclose(one.model.weight, many.model.weight, rtol=1e-12)
    assert [line["step"] for line in many.history] == [4, 8, 10]
    assert int(many.state[0]) == 10


def test_every_call_gets_a_fresh_batch_only_where_the_objective_resamples():
    class Counting(Regression):
        calls: list = eqx.field(static=True, default=None)

        def batch(self, key=None):
            self.calls.append(1)
            return super().batch(key)

    for resampled, expected in ((False, 1), (True, 1 + 3)):
        calls = Counter()
        objective = Counting(jnp.ones(3), resampled, calls)
        train(objective, model(), Descent(), steps=3, key=jax.random.key(0))
        assert len(calls) == expected


def test_the_key_decides_points_and_noise():
    optimizer = Descent(noise=0.1)
    runs = [solve(optimizer, resampled=True, steps=3, key=jax.random.key(i)) for i in (1, 1, 2)]
    same, again, other = (run.model.weight for run in runs)
    assert jnp.array_equal(same, again)
    assert not jnp.allclose(same, other)


def test_raw_keys_are_accepted():
    raw = jax.random.key_data(jax.random.key(0))
    assert jnp.array_equal(solve(steps=2).model.weight, solve(steps=2, key=raw).model.weight)


def test_an_optimizer_outside_compilation_makes_the_same_steps_one_a_call():
    plain, compiled = solve(PlainDescent(), steps=5), solve(steps=5)
    np.testing.assert_allclose(plain.model.weight, compiled.model.weight, rtol=1e-12)
    assert plain.state == 5
    assert len(plain.history) == 5


def test_a_budget_in_seconds_ends_the_run():
    result = solve(seconds=0.05)
    assert (result.status, result.message) == ("budget", "reached the budget of 0.05 s")
    assert 0.05 <= result.seconds < 2.0
    assert result.history[-1]["seconds"] == result.seconds


def test_compilation_callbacks_and_evaluation_are_not_training_seconds():
    import time

    result = solve(steps=3, evaluate=lambda _: time.sleep(0.1) or {}, evaluate_every=1)
    assert result.seconds < 0.1


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "`steps=1000`"), ({"steps": -1}, "`steps` is -1"), ({"seconds": -2.0}, "`seconds`")],
)
def test_a_missing_or_negative_budget_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        solve(**settings)


def test_other_settings_are_refused_with_a_cure():
    with pytest.raises(ValueError, match="`stride` is 0"):
        solve(steps=1, stride=0)
    with pytest.raises(ValueError, match="`resume` needs `checkpoint`"):
        solve(steps=1, resume=True)
    with pytest.raises(ValueError, match="`evaluate_every` is 0"):
        solve(steps=1, evaluate_every=0)


def test_calls_are_aligned_with_multiples_of_the_stride():
    budget = Budget(steps=23)
    assert [budget.allowance(step, 10) for step in (0, 7, 10, 20)] == [10, 3, 10, 3]


@pytest.mark.parametrize("stride", [1, 10])
def test_the_optimizer_stops_in_words_and_later_steps_are_discarded(stride):
    result = solve(Descent(stop_at=3), steps=20, stride=stride)
    assert (result.status, result.message) == ("stalled", "the third step is enough")
    assert result.steps == int(result.state[0]) == 3
    assert jnp.array_equal(result.model.weight, solve(steps=3, stride=stride).model.weight)


@pytest.mark.parametrize("stride", [1, 100])
@pytest.mark.parametrize("kind", [Descent, PlainDescent])
def test_a_diverging_run_returns_the_last_model_with_a_finite_loss(stride, kind):
    result = solve(kind(rate=1e30), steps=100, stride=stride)
    objective = regression()
    assert result.status == "failed"
    assert f"step {result.steps + 1} " in result.message
    assert "learning rate" in result.message
    assert "Cures: a smaller step" in result.message
    assert jnp.isfinite(objective.loss(result.model, objective.batch()))
    assert np.isfinite([line["loss"] for line in result.history]).all()
    assert result.history[-1]["step"] == result.steps > 2


class _Breaks(Descent):
    """Reports a finite loss and returns parameters that are not, at the fourth step."""

    def step(self, model, state, objective, batch, *, key):
        moved, state, info = super().step(model, state, objective, batch, key=key)
        bad = jnp.where(state[0] == 4, jnp.nan, 1.0)
        return jax.tree.map(lambda leaf: leaf * bad, moved), state, info


@pytest.mark.parametrize("stride", [1, 10])
def test_parameters_that_are_not_finite_are_thrown_away(stride):
    result = solve(_Breaks(), steps=10, stride=stride, evaluate=lambda m: {"w": m.weight[0]})
    expected = solve(steps=3, stride=stride).model.weight
    assert (result.status, result.steps) == ("failed", 3)
    assert jnp.array_equal(result.model.weight, expected)
    assert "parameters that are not finite" in result.message
    assert result.measures["w"] == result.history[-1]["w"] == float(expected[0])


def test_a_model_that_is_not_finite_at_the_start_is_refused():
    listener = Listener()
    with pytest.raises(ValueError, match=r"`model\.weight` holds a number that is not finite"):
        solve(steps=5, start=Linear(jnp.full(3, jnp.nan)), callbacks=[listener])
    assert listener.runs == []


def test_an_interrupt_keeps_the_results():
    listener = Listener()
    metrics = {"evaluate": lambda m: {"w": m.weight[0]}, "evaluate_every": 100}
    result = solve(steps=50, callbacks=[InterruptAt(6), listener], **metrics)
    assert (result.status, result.steps) == ("interrupted", 6)
    assert "interrupted from the keyboard" in result.message
    assert jnp.array_equal(result.model.weight, solve(steps=6).model.weight)
    assert result.history[-1]["w"] == float(result.model.weight[0])
    assert listener.results == [result]


def test_another_exception_is_raised_after_every_callback_was_told():
    listener = Listener()
    with pytest.raises(RuntimeError, match="from a callback"):
        solve(steps=50, callbacks=[listener, InterruptAt(2, RuntimeError)])
    (result,) = listener.results
    assert (result.status, result.message) == ("failed", "RuntimeError: from a callback")


def test_callbacks_hear_the_start_each_line_and_the_end():
    listener = Listener()
    result = solve(steps=4, callbacks=[listener])
    (run,) = listener.runs
    assert (run.steps, run.seconds, run.start, run.resumed, run.stride) == (4, None, 0, False, 1)
    assert listener.records == result.history
    assert listener.results == [result]


def test_a_run_stops_at_a_target_and_says_so():
    metrics = {"evaluate": lambda m: {"relative_l2": abs(m.weight[0] - 1.0)}, "evaluate_every": 1}
    stop = StopWhen("relative_l2", below=0.5)
    result = solve(steps=500, callbacks=[stop], **metrics)
    assert result.status == "stopped"
    assert result.measures["relative_l2"] < 0.5 <= result.history[-2]["relative_l2"]
    assert "relative_l2 fell to" in result.message
    assert f"below the target of 0.5, after {result.steps} steps" in result.message


def test_evaluation_every_few_steps_and_always_at_the_end():
    result = solve(steps=10, evaluate=lambda m: {"w": m.weight[1]}, evaluate_every=4)
    assert [line["step"] for line in result.history if "w" in line] == [1, 4, 8, 10]
    assert result.measures == {"w": float(result.model.weight[1])}


def test_the_evaluation_clock_spends_a_tenth_of_the_training_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("pinn_ngd.training.clock.time.perf_counter", lambda: now[0])

    def evaluate(_):
        now[0] += 7.0 if clock.count == 0 else 1.0  # the first call compiles
        return {}

    clock, evaluated = EvaluationClock(evaluate), []
    for second in range(1, 36):
        if clock.due(second, float(second)):
            clock.measure(None, second, float(second))
            evaluated.append(second)
    assert evaluated == [1, 2, 13, 24, 35]


def test_float32_is_warned_about_only_where_digits_matter():
    start = Linear(jnp.zeros(3, jnp.float32))
    objective = Regression(jnp.ones(3, jnp.float32))
    with pytest.warns(UserWarning, match="jax_enable_x64"):
        train(objective, start, Fussy(), steps=1, key=jax.random.key(0))
    train(objective, start, Descent(), steps=1, key=jax.random.key(0))  # warnings are errors
    solve(Fussy(), steps=1)


class _Grows(Descent):
    def init(self, model, objective, batch):
        del model, objective, batch
        return jnp.zeros(2), jax.random.key(3)

    def step(self, model, state, objective, batch, *, key):
        moved, _, info = super().step(model, (jnp.int32(0), state[1]), objective, batch, key=key)
        return moved, (jnp.zeros(3), state[1]), info


def test_labels_that_do_not_fit_are_refused_before_the_first_step():
    inputs, labels = jnp.ones((8, 3)), jnp.asarray([0, 1, 2, 3, 0, 1, 2, 9])
    model = eqx.nn.Linear(3, 4, key=jax.random.key(0))
    objective = ClassificationObjective(Shuffled(inputs, labels, 2))
    with pytest.raises(ValueError, match="run from 0 to 9, but the model has 4 outputs"):
        train(objective, model, optimizers.get("sgd"), steps=3, key=jax.random.key(1))
    batches = iter([labels[:4], labels[:4], labels[4:]])
    generated = ClassificationObjective(Generated(lambda _: (inputs[:4], next(batches))))
    result = train(generated, model, optimizers.get("sgd"), steps=3, key=jax.random.key(1))
    assert result.status == "failed"


def test_a_state_that_changes_its_shape_is_named():
    with pytest.raises(TypeError, match=r"state\[0\] from float64\[2\] to float64\[3\]"):
        solve(_Grows(), steps=1)
