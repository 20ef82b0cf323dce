"""What lies in the folder of a run, and that two runs are never mixed."""

import json
import math
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.experiments import RunFolder
from pinn_ngd.experiments.environment import plain
from pinn_ngd.storage.reading import read_history, read_result
from tests.training.helpers import Descent, Linear, solve


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def strict(path):
    """JSON that refuses NaN and Infinity."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_config_has_settings_versions_and_device(folder):
    folder.write_config({"seed": 3, "domain": jnp.asarray([0.0, 1.0]), "rate": np.float64(0.5)})
    config = strict(folder.config_path)
    assert config["settings"] == {"seed": 3, "domain": [0.0, 1.0], "rate": 0.5}
    environment = config["environment"]
    assert environment["packages"]["jax"] == jax.__version__
    assert set(environment["packages"]) == {
        *("pinn_ngd", "jax", "jaxlib", "equinox", "lineax", "optax", "numpy", "scipy")
    }
    assert environment["cores"] == os.cpu_count()
    assert environment["default_dtype"] == "float64"
    assert environment["device"]


def test_no_absolute_path_but_the_folders_own_is_written(folder, monkeypatch, tmp_path):
    own = str(folder.path)
    arguments = ["solve", str(tmp_path / "secret" / "mine.py"), "--out", own, f"--out={own}"]
    monkeypatch.setattr(sys, "argv", ["/opt/somewhere/pinn_ngd/__main__.py", *arguments])
    monkeypatch.chdir(tmp_path)
    settings = {"file": "/home/someone/mine.py", "nested": [str(tmp_path / "a" / "b.py")]}
    folder.write_config(settings | {"out": own, "url": "a=/b"})
    config = strict(folder.config_path)
    assert config["command"] == [
        "pinn_ngd",
        "solve",
        "secret/mine.py",
        "--out",
        own,
        f"--out={own}",
    ]
    assert config["settings"] == {
        "file": "mine.py",
        "nested": ["a/b.py"],
        "out": own,
        "url": "a=/b",
    }


def test_settings_of_every_kind_become_json():
    assert plain({"a": (1, True), 2: None, "f": jnp.tanh}) == {
        "a": [1, True],
        "2": None,
        "f": "tanh",
    }
    assert plain(Linear(jnp.ones(2))) == {"type": "Linear", "weight": [1.0, 1.0]}
    assert plain(Descent(rate=0.5))["rate"] == 0.5
    assert plain(jax.random.key(4)) == [0, 4]


def test_a_result_has_every_key_and_valid_numbers(folder):
    result = solve(steps=3, evaluate=lambda _: {"relative_l2": math.nan, "other": 1.0})
    folder.write_result(
        result, problem="line", optimizer="descent", seed=0, relative_h1=jnp.ones(())
    )
    written = strict(folder.result_path)
    assert written == read_result(folder.path)
    assert (written["problem"], written["optimizer"], written["seed"]) == ("line", "descent", 0)
    assert (written["relative_l2"], written["relative_h1"]) == (None, 1.0)
    assert (written["steps"], written["status"]) == (3, "budget")
    assert set(written) == {
        *("problem", "optimizer", "solver", "seed", "parameters", "steps", "seconds"),
        *("compile_seconds", "loss", "relative_l2", "relative_h1", "status", "message"),
        *("scores", "other"),
    }
    assert written["scores"] == ["other"]


def run(folder, steps, **settings):
    folder.write_config({})
    parts = {"callbacks": [folder.writer()], "checkpoint": folder.checkpoint()}
    result = solve(steps=steps, **parts, **settings)
    folder.write_result(result)
    return [line["step"] for line in read_history(folder.path)]


def test_a_fresh_run_replaces_the_old_one(folder):
    assert run(folder, 3) == [1, 2, 3]
    assert run(folder, 2) == [1, 2]
    assert read_result(folder.path)["steps"] == 2


def test_starting_again_removes_the_old_result(folder):
    run(folder, 2)
    folder.write_config({})
    with pytest.raises(FileNotFoundError, match=r"result\.json"):
        read_result(folder.path)


def test_a_resumed_run_drops_the_lines_after_its_checkpoint_and_continues(folder):
    run(folder, 3)
    with folder.history_path.open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 5, "lo')  # died before a checkpoint
    assert run(folder, 6, resume=True) == [1, 2, 3, 4, 5, 6]
    whole = solve(steps=6).history
    assert [line["loss"] for line in read_history(folder.path)] == [line["loss"] for line in whole]


def test_history_is_read_with_nan_for_null_and_without_an_unfinished_line(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1, "loss": null}\n{"step": 2, "lo')
    (line,) = read_history(tmp_path)
    assert line["step"] == 1
    assert math.isnan(line["loss"])
    path.write_text('{"step": 1\n{"step": 2}\n')
    with pytest.warns(UserWarning, match="1 of 2 lines of"):
        assert read_history(path) == [{"step": 2}]
    with pytest.raises(FileNotFoundError, match=r"no `history\.jsonl`"):
        read_history(tmp_path / "none")
