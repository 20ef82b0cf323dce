"""A folder goes on with its own run and with no other, and a refusal changes nothing in it."""

import json
import os
import re
import shutil
import signal

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd import FolderError
from pinn_ngd.experiments import compare_optimizers, run_problem
from pinn_ngd.storage.reading import read_config, read_history, read_result
from pinn_ngd.training import AbstractCallback
from tests.tiny import contents, other_residual, tiny

QUICK = {"steps": 50, "pictures": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("resume") / "run"
    return run_problem(tiny(), out=out, **QUICK), out


@pytest.fixture
def folder(made, tmp_path):
    """A copy of a run that has ended."""
    return shutil.copytree(made[1], tmp_path / "run")


@pytest.fixture(autouse=True)
def _heard():
    """Ctrl-C as in the foreground: shells let jobs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Call(AbstractCallback):
    """Calls a function once, at the start or after a step."""

    def __init__(self, function, step=50):
        self.function, self.step = function, step

    def on_start(self, run):
        del run
        if self.step == 0:
            self.function()

    def on_step(self, record, model):
        del model
        if record["step"] == self.step:
            self.function()


@pytest.mark.parametrize(
    ("problem", "changes", "words"),
    [
        ({}, {"seed": 1}, "`seed` is 0 there and 1 here"),
        ({}, {"optimizer": "gd"}, "`optimizer` is 'adam' there and 'gd' here"),
        ({}, {"settings": {"rate": 0.5}}, "`optimizer_settings.rate` is .* there and 0.5 here"),
        ({}, {"fixed_points": True}, "`fixed_points` is False there and True here"),
        ({"settings": {"k": 2.0}}, {}, "`problem_settings.k` is 'missing' there and 2.0 here"),
        ({"points": 7}, {}, "`terms.*` is .* there and .* here"),
        ({"width": 4}, {}, r"`network.*` is 'float64\[3,1\]' there and 'float64\[4,1\]' here"),
        ({"activation": jnp.sin}, {}, "`network.*` is 'tanh' there and 'sin' here"),
        ({"fn": other_residual}, {}, "`terms.*` is 'residual' there and 'other_residual' here"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(sorted(value)),
)
@pytest.mark.parametrize("kept", ["config", "no-config"])
def test_another_run_is_refused_and_nothing_changes(folder, problem, changes, words, kept):
    if kept == "no-config":  # the checkpoint knows by itself
        (folder / "config.json").unlink()
        (folder / "result.json").unlink()
    before = contents(folder)
    with pytest.raises(ValueError, match=words) as caught:
        run_problem(tiny(**problem), resume=True, out=folder, **(QUICK | {"steps": 100} | changes))
    assert "only budgets (steps, seconds, tolerance) may change" in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        (("engd", {"solver_name": "qr"}), ("engd", {"solver_name": "svd"}), "'qr' there and 'svd'"),
        (("wngd", {"settings": {"metric": "l2"}}), ("wngd", {"settings": {"metric": "h1"}}),
         "'l2' there and 'h1' here"),
    ],
    ids=["solver", "metric"],
)  # fmt: skip
def test_another_solver_or_metric_is_refused(tmp_path, there, here, words):
    run_problem(tiny(), there[0], out=tmp_path, steps=0, pictures=False, **there[1])
    before = contents(tmp_path)
    with pytest.raises(FolderError, match=words):
        run_problem(tiny(), here[0], out=tmp_path, steps=5, resume=True, **here[1])
    assert contents(tmp_path) == before


def test_another_precision_is_refused(folder):
    before = contents(folder)
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(FolderError, match="`default_dtype` is 'float64' there and 'float32'"):
            run_problem(tiny(), resume=True, out=folder, **QUICK)
    finally:
        jax.config.update("jax_enable_x64", True)
    assert contents(folder) == before


@pytest.mark.parametrize(
    "budget", [{"steps": 100}, {"steps": 100, "seconds": 1e3, "tolerance": 1.0}]
)
def test_budgets_may_change(folder, budget):
    result = run_problem(tiny(), resume=True, out=folder, pictures=False, **budget)
    assert result["steps"] == 100 or result["status"] == "converged"
    assert [line["step"] for line in read_history(folder)] == [50, 100]
    assert read_config(folder)["settings"]["steps"] == 100


@pytest.mark.parametrize("budget", [{"steps": 20}, {"seconds": 1e-9}])
def test_a_smaller_budget_says_what_it_means_and_changes_nothing(folder, budget):
    before = contents(folder)
    result = run_problem(tiny(), resume=True, out=folder, pictures=False, **budget)
    assert (result["status"], result["steps"]) == ("budget", 50)
    assert "the run had made 50 steps in" in result["message"]
    assert "nothing was done" in result["message"]
    assert contents(folder) == before


def test_a_smaller_budget_of_a_run_without_a_result_says_it_too(made, folder):
    (folder / "result.json").unlink()
    (folder / "history.jsonl").write_bytes(b"\xff{cut")
    result = run_problem(tiny(), resume=True, out=folder, steps=20, pictures=False)
    assert re.search("made 50 steps in .* s before, more than the budget of 20", result["message"])
    assert (result["steps"], result["loss"]) == (50, made[0]["loss"])
    assert result["relative_l2"] == made[0]["relative_l2"]


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "config", "result"])
def test_damaged_files_are_refused_and_nothing_changes(folder, damage):
    path = folder / "checkpoint" / "latest.eqx"
    data = path.read_bytes()
    if damage == "config":
        (folder / "config.json").write_text("null")
    elif damage == "result":  # only that can be made again
        (folder / "result.json").write_text('{"steps": ')
        assert run_problem(tiny(), resume=True, out=folder, **QUICK)["steps"] == 50
        assert read_result(folder)["steps"] == 50
        return
    else:
        flipped = data[:-5] + bytes([data[-5] ^ 4]) + data[-4:]
        path.write_bytes({"flip": flipped, "cut": data[:-5], "foreign": b"PNG"}[damage])
    before = contents(folder)
    with pytest.raises(ValueError, match=r"damaged|is not a checkpoint"):
        run_problem(tiny(), resume=True, out=folder, steps=100, pictures=False)
    assert contents(folder) == before


@pytest.mark.parametrize("resume", [False, True])
def test_the_folder_of_another_problem_is_refused(folder, resume):
    before = contents(folder)
    with pytest.raises(FolderError, match="holds a run of the problem 'tiny', not of 'other'"):
        run_problem(tiny(name="other"), resume=resume, out=folder, **QUICK)
    (folder / "config.json").write_text('{"hidden_size": 12}')
    with pytest.raises(FolderError, match="no run of pinn_ngd wrote it"):
        run_problem(tiny(), resume=resume, out=folder, **QUICK)
    (folder / "config.json").write_bytes(before[folder / "config.json"][0])
    assert {path: data[0] for path, data in contents(folder).items()} == {
        path: data[0] for path, data in before.items()
    }


def test_the_config_of_an_earlier_version_is_named(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["identity"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FolderError, match="earlier version of pinn_ngd: start without `resume`"):
        run_problem(tiny(), resume=True, out=folder, **QUICK)


def test_two_runs_into_one_folder_do_not_mix(tmp_path):
    def second():
        for resume in (False, True):
            with pytest.raises(FolderError, match="another run is writing to"):
                run_problem(tiny(), out=tmp_path, resume=resume, **QUICK)

    result = run_problem(tiny(), out=tmp_path, callbacks=[Call(second)], **QUICK)
    assert result["status"] == "budget"
    assert [line["step"] for line in read_history(tmp_path)] == [50]


def test_a_run_that_cannot_start_leaves_the_old_one(folder):
    def broken(_):
        raise RuntimeError("no network")

    before = contents(folder)
    with pytest.raises(RuntimeError, match="no network"):
        run_problem(tiny(model=broken), out=folder, **QUICK)
    assert contents(folder) == before


def test_a_run_that_is_interrupted_before_it_began_leaves_the_old_one(folder):
    def interrupted(key):
        os.kill(os.getpid(), signal.SIGTERM)
        return tiny().model(key)

    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        run_problem(tiny(model=interrupted), out=folder, **QUICK)
    assert contents(folder) == before


def test_a_run_that_is_interrupted_when_it_takes_the_folder_leaves_the_old_one(folder, monkeypatch):
    def interrupted(*_):
        os.kill(os.getpid(), signal.SIGINT)

    before = contents(folder)
    monkeypatch.setattr(os, "fsync", interrupted)  # while it writes its first file
    result = run_problem(tiny(), out=folder, seed=1, **QUICK)
    assert (result["status"], result["steps"]) == ("interrupted", 0)
    assert contents(folder) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_that_goes_on(made, tmp_path, number):
    call = Call(lambda: os.kill(os.getpid(), number))
    cut = run_problem(tiny(), out=tmp_path, steps=150, pictures=False, callbacks=[call])
    assert (cut["status"], cut["steps"]) == ("interrupted", 50)
    assert read_result(tmp_path)["loss"] == made[0]["loss"]
    rest = run_problem(tiny(), out=tmp_path, steps=100, pictures=False, resume=True)
    assert rest["steps"] == 100


def test_leftovers_of_killed_writers_are_cleaned(folder):
    leftovers = [
        folder / ".config.json.0a1b2c3d.tmp",
        folder / "checkpoint" / ".latest.eqx.0a1b2c3d.tmp",
    ]
    for path in leftovers:
        path.touch()
    run_problem(tiny(), resume=True, out=folder, **QUICK)
    assert not any(path.exists() for path in leftovers)


def test_a_picture_that_fails_is_a_warning(tmp_path):
    def picture(_):
        raise SystemExit("no picture")

    with pytest.warns(UserWarning, match="solution could not be drawn .*no picture"):
        result = run_problem(tiny(picture=picture), out=tmp_path, steps=50)
    assert result["status"] == read_result(tmp_path)["status"] == "budget"
    assert (tmp_path / "history.png").is_file()


@pytest.mark.parametrize("name", ["../../outside", "[/red]", "a/b", "n" * 400, "x\0y"])
def test_names_of_problems_stay_inside_the_folder_of_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = run_problem(tiny(name=name), steps=0, pictures=False)
    (path,) = (tmp_path / "runs").iterdir()
    assert (path / "result.json").is_file()
    assert result["problem"] == name
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]


def test_a_comparison_refuses_what_its_runs_refuse(tmp_path):
    compare_optimizers(tiny(), ["adam"], seeds=range(1), steps=50, out=tmp_path)
    with pytest.raises(FolderError, match="holds a comparison on the problem 'tiny'"):
        compare_optimizers(tiny(name="other"), ["adam"], seeds=range(1), steps=50, out=tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FolderError, match="only budgets"):
        compare_optimizers(
            tiny(fixed_points=True), ["adam"], seeds=range(1), steps=50, out=tmp_path, resume=True
        )
    assert contents(tmp_path) == before


def test_config_says_network_and_points(folder):
    config = read_config(folder)
    assert config["network"]["parameters"] == 10
    assert "f64[3,1]" in config["network"]["text"]
    assert config["points"][0]["count"] == 6
    assert config["points"][0]["rule"]["type"] == "GaussLegendre"
    assert config["problem_file"] is None
