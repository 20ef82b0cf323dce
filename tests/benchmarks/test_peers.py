"""Peers: tasks say what our problems say, and the page says what the numbers say."""

import importlib
import json
import pathlib
import sys
from argparse import Namespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures import peers as figure
from pinn_ngd import load_problem

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts import those beside them
peers, peers_report = (importlib.import_module(name) for name in ("peers", "peers_report"))
sys.path.insert(0, str(peers.SCRIPTS))
protocol = importlib.import_module("protocol")

RUN = {
    "problem": "heat-1d-icml23", "seed": 1, "budget": 5.0, "peer": "scipy", "method": "lm",
    "versions": {"scipy": "1"}, "compile_seconds": 2.0, "loss": 1.0, "same_start": True,
    "seconds": 5.0, "steps": 50, "relative_l2": 2e-7, "gibibytes": 0.5, "end": "time",
    "history": [[0.0, 1.0], [1.0, 9e-4], [2.0, 1e-2], [3.0, 5e-7], [5.0, 2e-7]],
}  # fmt: skip


@pytest.fixture(scope="module", params=["poisson-2d-icml23", "kovasznay"])
def written(request, tmp_path_factory):
    """A problem of ours, its model, the task, and the loss that was told with it."""
    path = tmp_path_factory.mktemp("task") / "task.json"
    loss = peers.write_task(request.param, 7, 3.0, path)
    problem = load_problem(request.param, **peers.PROBLEMS[request.param])
    return problem, problem.model(jax.random.key(7)), protocol.Task(path), loss


def test_a_task_comes_back_as_it_was_written(written):
    problem, model, task, _ = written
    assert (task.problem, task.seed, task.seconds) == (problem.name, 7, 3.0)
    assert task.names == [term.name for term in problem.objective.terms]
    for layer, (weight, bias) in zip(model.layers, task.weights, strict=True):
        np.testing.assert_array_equal(layer.weight, weight)
        np.testing.assert_array_equal(layer.bias, bias)
    assert task.sizes == (2, *(layer.bias.size for layer in model.layers))


def test_errors_of_a_task_are_those_of_the_problem(written):
    problem, model, task, _ = written
    expected = problem.errors()(model)["relative_l2"]
    assert task.relative_l2(task.weights) == pytest.approx(expected, rel=1e-12)
    flat = protocol.flat(task.weights)
    assert task.relative_l2(protocol.unflat(flat, task.weights)) == task.relative_l2(task.weights)


def test_the_equations_of_the_peers_are_ours(written):
    """The loss from the task, with equations that know nothing of this package."""
    _, _, task, loss = written
    theirs = importlib.import_module("equations").Problem(task)
    assert float(theirs.loss(theirs.weights)) == pytest.approx(loss, rel=1e-12)


@pytest.mark.slow
def test_the_jacobian_by_rows_is_that_of_the_residuals(tmp_path):
    peers.write_task("poisson-2d-icml23", 8, 3.0, tmp_path / "task.json")
    task = protocol.Task(tmp_path / "task.json")
    theirs = importlib.import_module("equations").Problem(task)
    direction = jax.tree.map(jnp.cos, theirs.weights)
    along = jax.jvp(theirs.residuals, (theirs.weights,), (direction,))[1]
    product = theirs.jacobian(theirs.weights) @ protocol.flat(direction)
    np.testing.assert_allclose(product, along, rtol=1e-9, atol=1e-9 * float(abs(along).max()))


def test_a_recorder_leaves_what_is_collected(written, tmp_path):
    _, _, task, loss = written
    out = tmp_path / "lines.jsonl"
    recorder = protocol.Recorder(task, out, ["numpy"])
    recorder.compiled(loss, task.weights)
    assert not recorder.step(lambda: task.weights)
    recorder.used = 3.5  # more than the task allows
    assert recorder.step(lambda: task.weights, steps=2)
    recorder.end(task.weights)
    found = peers.collected(out.read_text().splitlines(), loss)
    assert (found["steps"], found["end"], found["same_start"]) == (3, "time", True)
    assert found["seconds"] >= 3.5
    assert found["relative_l2"] == pytest.approx(task.relative_l2(task.weights), rel=1e-3)
    assert found["history"][0][0] == 0.0
    assert found["versions"]["numpy"] == np.__version__
    other = peers.collected(out.read_text().splitlines(), 1.001 * loss)
    assert not other["same_start"]


def test_a_run_ends_where_its_error_is_no_number(written, tmp_path):
    _, _, task, loss = written
    out = tmp_path / "lines.jsonl"
    recorder = protocol.Recorder(task, out, ["numpy"])
    recorder.compiled(loss, task.weights)
    nowhere = [(np.full_like(weight, np.nan), bias) for weight, bias in task.weights]
    assert recorder.step(lambda: nowhere)
    recorder.end(nowhere)
    found = peers.collected(out.read_text().splitlines(), loss)
    assert found["relative_l2"] == found["history"][0][1]
    assert len(found["history"]) == 1
    assert found["end"] == "the parameters are not finite"
    text = peers_report.tables([dict(RUN, **found)])
    assert "ended after 0.0 s: the parameters are not finite." in text


def test_a_level_is_reached_at_the_first_error_below_it():
    assert peers_report.reached(RUN, 1e-3) == 1.0
    assert peers_report.reached(RUN, 1e-6) == 3.0
    assert peers_report.reached(RUN, 1e-9) == np.inf
    slow = dict(RUN, history=[[0.0, 1.0], [4.0, 1e-4]])
    worse = dict(RUN, history=[[0.0, 1.0]])
    assert peers_report.time_cell([RUN], 1e-3) == "1"
    assert peers_report.time_cell([RUN, slow, worse], 1e-3) == "4 (2 of 3)"
    assert peers_report.time_cell([RUN, worse, worse], 1e-3) == "never (1 of 3: 1)"
    assert peers_report.time_cell([RUN], 1e-9) == "never"


def test_what_did_not_run_has_a_line_with_its_reason():
    failed = {key: RUN[key] for key in ("problem", "seed", "budget", "method")}
    text = peers_report.tables([RUN, {**failed, "peer": "jinns", "reason": "no such package"}])
    assert "| scipy, `lm` | 1 | 3 | never | 2.0e-07 | 5 | 100 | 2.0 | 0.5 | 1 |" in text
    assert "jinns, `lm`, seed 1: no such package." in text


def test_the_reason_of_a_failure_is_its_last_sentence():
    trace = "Traceback:\n  File\nAssertionError: not divisible by 1024\n"
    assert peers.last_line(trace) == "AssertionError: not divisible by 1024"
    note = f"{peers.JAX_NOTE} its internal frames. Set JAX_TRACEBACK_FILTERING to see them.\n"
    assert peers.last_line(trace + note) == "AssertionError: not divisible by 1024"
    assert peers.last_line("It ended. \n\n") == "It ended"
    assert peers.last_line(" \n") == "it said nothing"


def test_the_page_is_that_of_the_numbers():
    runs = peers.load(peers_report.RESULTS)
    page = peers_report.PAGE.read_text(encoding="utf-8")
    assert page == peers_report.with_table(page, peers_report.tables(runs))
    assert peers_report.tables(runs) in page


def test_every_run_solved_the_problem_of_its_task():
    """A package whose loss at the start is another one is not compared."""
    runs = [run for run in peers.load(peers_report.RESULTS) if "reason" not in run]
    assert all(run["same_start"] for run in runs)
    assert {run["problem"] for run in runs} <= set(peers.PROBLEMS)
    for run in runs:
        assert run["method"] in peers.PEERS[run["peer"]].methods


def test_runs_come_seed_by_seed_and_are_not_repeated(tmp_path):
    options = Namespace(
        problems=["heat-1d-icml23"], peers=["scipy", "pinn-ngd"], methods=None, seeds=2, first=5,
        seconds=1.0,
    )  # fmt: skip
    jobs = list(peers.jobs(options))
    assert [(job.seed, job.peer, job.method) for job in jobs[:3]] == [
        (5, "scipy", "lm"), (5, "scipy", "l-bfgs-b"), (5, "pinn-ngd", "engd-tr"),
    ]  # fmt: skip
    assert [job.seed for job in jobs] == [5] * 3 + [6] * 3
    path = tmp_path / "runs.json"
    peers.add(dict(RUN, seed=6, budget=1.0), path)
    peers.add(dict(RUN, seed=5, budget=1.0), path)
    assert [run["seed"] for run in json.loads(path.read_text())] == [5, 6]
    assert peers.has(peers.load(path), jobs[0])
    assert not peers.has(peers.load(path), jobs[1])


def test_every_peer_has_a_script():
    assert all((peers.SCRIPTS / peer.script).is_file() for peer in peers.PEERS.values())


def test_the_picture_shows_the_run_in_the_middle():
    runs = [dict(RUN, seed=seed, relative_l2=error) for seed, error in enumerate([3.0, 1.0, 2.0])]
    shown = figure.medians(runs, RUN["problem"])
    assert shown["scipy", "lm"]["seed"] == 2
    assert set(figure.COLORS) == set(peers.PEERS)
