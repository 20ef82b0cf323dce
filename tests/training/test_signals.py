"""Ctrl-C and SIGTERM end a run where nothing is lost, and the handlers are put back."""

import os
import signal
import threading

import jax.numpy as jnp
import pytest

from pinn_ngd.storage import Checkpoint
from pinn_ngd.training import AbstractCallback
from pinn_ngd.training.result import Ending
from pinn_ngd.training.signals import Signals, heard, patiently

from .helpers import Descent, Listener, solve


class Send(AbstractCallback):
    """Sends itself signals after so many steps, or at the start or end of a run."""

    def __init__(self, *numbers, step=3, when="step"):
        self.numbers, self.step, self.when = numbers, step, when

    def send(self, when):
        for number in self.numbers if self.when == when else ():
            os.kill(os.getpid(), number)

    def on_start(self, run):
        del run
        self.send("start")

    def on_step(self, record, model):
        del model
        if record["step"] == self.step:
            self.send("step")

    def on_end(self, result):
        del result
        self.send("end")


@pytest.fixture(autouse=True)
def handlers():
    """Those of a program in the foreground (shells let jobs in the background ignore Ctrl-C)."""
    usual = {signal.SIGINT: signal.default_int_handler}
    usual |= {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert after == usual


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "interrupted from the keyboard"),
        (signal.SIGTERM, r"SIGTERM"),
        (signal.SIGHUP, "the terminal was closed"),
    ],
)
def test_a_signal_ends_a_run_after_the_call(tmp_path, number, words):
    checkpoint, listener = Checkpoint(tmp_path / "latest.eqx"), Listener()
    cut = solve(steps=9, callbacks=[Send(number), listener], checkpoint=checkpoint)
    assert (cut.status, cut.steps) == ("interrupted", 3)
    assert words in cut.message
    assert listener.results == [cut]
    rest = solve(steps=9, checkpoint=checkpoint, resume=True)
    assert jnp.array_equal(rest.model.weight, solve(steps=9).model.weight)


@pytest.mark.parametrize("when", ["last-step", "evaluation"])
def test_a_signal_at_the_end_is_heard_and_loses_nothing(when):
    def evaluate(model):
        if when == "evaluation":
            os.kill(os.getpid(), signal.SIGTERM)
        return {"w": model.weight[0]}

    callbacks = [Send(signal.SIGTERM, step=9)] if when == "last-step" else []
    result = solve(steps=9, callbacks=callbacks, evaluate=evaluate, evaluate_every=100)
    assert result.status == "interrupted"
    assert when == "evaluation" or result.steps == 9
    assert result.measures["w"] == float(result.model.weight[0])


def test_a_failure_stays_a_failure():
    with pytest.raises(KeyboardInterrupt):
        solve(Descent(rate=1e200), steps=9, callbacks=[Send(signal.SIGINT, when="end")])
    assert Signals().over(Ending("failed", "")).status == "failed"


def test_a_signal_before_the_first_step_ends_the_run_at_once(tmp_path):
    checkpoint = Checkpoint(tmp_path / "latest.eqx")
    cut = solve(steps=9, callbacks=[Send(signal.SIGTERM, when="start")], checkpoint=checkpoint)
    assert (cut.status, cut.steps) == ("interrupted", 0)


PRESSES = []


class _Plain(Descent):
    """Descent outside compilation, and somebody who presses Ctrl-C twice in the fourth step."""

    jittable = False

    def step(self, model, state, objective, batch, *, key):
        if int(state[0]) == 3 and PRESSES:
            PRESSES.clear()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(model, state, objective, batch, key=key)


def test_a_second_signal_does_not_wait_and_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "latest.eqx"
    PRESSES.append(1)
    cut = solve(_Plain(), steps=9, checkpoint=Checkpoint(path, every_seconds=0.0))
    assert (cut.status, cut.steps) == ("interrupted", 3)
    rest = solve(_Plain(), steps=9, checkpoint=Checkpoint(path), resume=True)
    assert [line["step"] for line in rest.history] == [4, 5, 6, 7, 8, 9]
    assert jnp.array_equal(rest.model.weight, solve(_Plain(), steps=9).model.weight)


def test_a_signal_that_comes_too_late_is_sent_again():
    with pytest.raises(KeyboardInterrupt):
        solve(steps=3, callbacks=[Send(signal.SIGINT, when="end")])


def test_the_handler_of_somebody_else_stays():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        result = solve(steps=5, callbacks=[Send(signal.SIGTERM)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (result.status, seen) == ("budget", [signal.SIGTERM])


def test_a_thread_trains_without_handlers():
    results = []
    thread = threading.Thread(target=lambda: results.append(solve(steps=3)))
    thread.start()
    thread.join()
    assert results[0].steps == 3


def test_blocks_inside_one_another_share_their_signals():
    with heard() as outer, patiently(outer):
        with heard() as inner:
            assert inner is outer
            os.kill(os.getpid(), signal.SIGTERM)
        assert outer.ending() is not None
    with pytest.raises(ValueError, match="mine"), heard():
        raise ValueError("mine")
