"""History lines survive whatever ends a run, and the progress bar shows what it knows."""

import io
import json
import math

import pytest
from rich.console import Console

from pinn_ngd.storage.files import to_json
from pinn_ngd.training import JSONLWriter, ProgressBar, StopWhen
from pinn_ngd.training.progress import describe, fraction
from pinn_ngd.training.records import losses_of_terms
from pinn_ngd.training.result import Run, TrainResult

from .helpers import InterruptAt, solve


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_history_lines_are_the_history(tmp_path):
    path = tmp_path / "new" / "history.jsonl"
    result = solve(steps=3, callbacks=[JSONLWriter(path)])
    assert lines(path) == result.history


def test_each_line_is_on_disk_before_the_next_step(tmp_path):
    path, seen = tmp_path / "history.jsonl", []

    class Reader(InterruptAt):
        def on_step(self, record, model):
            seen.append(len(lines(path)))
            super().on_step(record, model)

    with pytest.raises(RuntimeError):
        solve(steps=9, callbacks=[JSONLWriter(path), Reader(3, RuntimeError)])
    assert seen == [1, 2, 3]
    assert [line["step"] for line in lines(path)] == [1, 2, 3]


def test_the_last_line_gets_the_final_evaluation(tmp_path):
    path = tmp_path / "history.jsonl"
    metrics = {"evaluate": lambda m: {"w": m.weight[0]}, "evaluate_every": 100}
    writer = JSONLWriter(path)
    result = solve(steps=9, callbacks=[writer, InterruptAt(5)], **metrics)
    assert lines(path) == result.history
    assert ["w" in line for line in lines(path)] == [True, False, False, False, True]


def test_a_writer_appends_unless_the_file_belongs_to_one_run(tmp_path):
    path = tmp_path / "history.jsonl"
    for fresh, expected in ((False, [1, 2]), (False, [1, 2, 1, 2]), (True, [1, 2])):
        solve(steps=2, callbacks=[JSONLWriter(path, fresh=fresh)])
        assert [line["step"] for line in lines(path)] == expected


def test_json_has_no_infinities():
    value = {"loss": math.nan, "list": [math.inf, 1.0, (-math.inf,)], "text": "NaN", "n": None}
    assert json.loads(to_json(value)) == {
        "loss": None,
        "list": [None, 1.0, [None]],
        "text": "NaN",
        "n": None,
    }


def test_a_target_passes_over_lines_without_its_number_and_over_nan():
    stop = StopWhen("relative_l2", below=1e-6)
    for record in ({"step": 1}, {"step": 2, "relative_l2": math.nan}):
        assert stop.on_step(record, None) is None
    assert stop.on_step({"step": 3, "relative_l2": 1e-6}, None) is None
    assert stop.on_step({"step": 4, "relative_l2": 8.25e-7}, None) == "stop"
    assert stop.message == (
        "relative_l2 fell to 8.25e-07, below the target of 1e-06, after 4 steps"
    )


RECORD = {"step": 12, "seconds": 3.0, "loss": 2.5e-9, "damping": 1e-3}


def test_a_line_shows_only_what_is_known():
    assert describe(RECORD, {"relative_l2": 1e-4}) == (
        "step 12  3.0 s  loss 2.500e-09  relative_l2 1.00e-04  damping 1.0e-03"
    )
    assert describe(RECORD | {"damping": 0.0}, {"test_accuracy": 0.95}) == (
        "step 12  3.0 s  loss 2.500e-09  test_accuracy 0.9500"
    )


def test_a_line_shows_which_term_is_stuck():
    terms = {"a": 1e-3, "b": 2e-1, "c": 1e-9, "d": 3e-5}
    start = "step 12  3.0 s  loss 2.500e-09"
    assert describe(RECORD | {"damping": 0}, {}, {"a": 1e-3}) == start
    two = describe(RECORD, {}, {"a": 1e-3, "b": 2e-1})
    assert two == f"{start} (b 2.0e-01, a 1.0e-03)  damping 1.0e-03"
    assert f"{start} (b 2.0e-01, a 1.0e-03, d 3.0e-05, ...)" in describe(RECORD, {}, terms)
    line = {f"{kind}_{t}": v for kind in ("loss", "held_out") for t, v in terms.items()}
    assert losses_of_terms(line | {"loss": 1.0, "loss_of_weight": 3.0}) == terms


def test_the_bar_remembers_the_terms_of_the_last_look():
    out = io.StringIO()
    bar = ProgressBar(console=Console(file=out, force_terminal=True, width=200))
    bar.on_start(Run(9, None, 0, 0.0, False, 1, None, None, None))
    terms = {"loss_a": 1.0, "held_out_a": 1.0, "loss_b": 2.0, "held_out_b": 1.0}
    bar.on_step(RECORD | terms, None)
    bar.on_step(RECORD, None)
    assert bar.terms == {"a": 1.0, "b": 2.0}
    bar.shown_at = 0.0
    bar.on_step(RECORD, None)
    bar.bar.stop()
    assert "(b 2.0e+00, a 1.0e+00)" in out.getvalue()


@pytest.mark.parametrize(
    ("steps", "seconds", "part"),
    [(24, None, 0.5), (None, 4.0, 0.75), (24, 4.0, 0.75), (6, None, 1.0), (0, None, 0.0)],
)
def test_the_bar_follows_the_budget_that_is_closer_to_its_end(steps, seconds, part):
    run = Run(steps, seconds, 0, 0.0, False, 1, None, None, None)
    assert fraction(run, RECORD) == part


@pytest.mark.parametrize(
    ("overtime", "steps", "seconds", "said"),
    [(2.0, 11, None, True), (2.0, 12, None, False), (2.0, None, 2.5, True), (1.0, 11, 2.5, False)],
)
def test_the_bar_says_that_a_run_takes_more_than_its_budget(overtime, steps, seconds, said):
    out = io.StringIO()
    bar = ProgressBar(console=Console(file=out, force_terminal=True, width=200))
    bar.on_start(Run(steps, seconds, 0, 0.0, False, 1, None, None, None, overtime))
    bar.shown_at = 0.0
    bar.on_step(RECORD, None)
    bar.bar.stop()
    assert ("overtime" in out.getvalue()) == said


@pytest.mark.parametrize("included", [True, False])
def test_the_bar_of_a_run_that_ended_says_overtime_only_where_it_was_taken(included):
    """The last step of any run may end a little after its time."""
    out = io.StringIO()
    bar = ProgressBar(console=Console(file=out, force_terminal=True, width=200))
    bar.on_start(Run(None, 2.5, 0, 0.0, False, 1, None, None, None, 2.0))
    message = "reached the budget of 2.5 s" + ", overtime included" * included
    bar.on_end(TrainResult(None, None, [RECORD], "budget", message, 12, 3.0, 0.0, 2.5e-9))
    assert "step 12" in out.getvalue()
    assert ("overtime" in out.getvalue()) == included


def show(*, terminal, pause=10.0, enabled=True, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("pinn_ngd.training.progress.LINE_SECONDS", pause)
    console = Console(file=out, force_terminal=terminal, width=200)
    bar = ProgressBar(enabled=enabled, console=console)
    solve(steps=3, callbacks=[bar], evaluate=lambda m: {"relative_l2": m.weight[0]})
    assert bar.bar is None
    return out.getvalue()


def test_a_terminal_shows_the_last_step(monkeypatch):
    text = show(terminal=True, monkeypatch=monkeypatch)
    assert "step 3" in text
    assert "relative_l2" in text


def test_elsewhere_there_is_a_line_every_ten_seconds_or_nothing(monkeypatch):
    assert show(terminal=False, monkeypatch=monkeypatch) == ""
    shown = show(terminal=False, pause=0.0, monkeypatch=monkeypatch).splitlines()
    assert [line.split("  ")[0] for line in shown] == ["step 1", "step 2", "step 3"]
    for terminal in (True, False):
        text = show(terminal=terminal, pause=0.0, enabled=False, monkeypatch=monkeypatch)
        assert text == ""
