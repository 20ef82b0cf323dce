"""The command line and the folder of a run: loading it, refusing it, and surviving bad files."""

import errno
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import load_run
from tests.tiny import FILE, SETTINGS, changed_file, contents, run_cli, tiny

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.fixture
def made(solved):
    """The folder of a run, which a test leaves as it is."""
    result, out = solved
    assert result.exit_code == 0, result.output
    return out


def test_a_run_of_the_command_line_is_loaded(made):
    run = load_run(made)
    assert run.result == json.loads((made / "result.json").read_text())
    assert [line["step"] for line in run.history] == [50]
    assert run.problem.settings == SETTINGS | {"width": 4}
    assert run.model.layers[0].weight.shape == (4, 1)
    assert run.problem.evaluator()(run.model)["relative_l2"] == run.result["relative_l2"]
    assert np.isfinite(run.model(jnp.asarray([0.5])))
    assert run.config["settings"]["optimizer"] == "adam"


def test_config_keeps_the_problem_file(made):
    config = json.loads((made / "config.json").read_text())
    record = config["problem_file"]
    assert record["text"] == FILE
    assert len(record["sha256"]) == 64
    assert record["arguments"] == SETTINGS | {"width": 4}
    assert config["points"][0]["count"] == 6
    assert config["network"]["parameters"] == 13


@pytest.mark.slow
def test_a_run_is_loaded_when_its_problem_file_is_gone_or_changed(tmp_path):
    path, out = changed_file(tmp_path, "width=3", "width=5"), tmp_path / "run"
    assert run_cli("solve", path, "--steps", 50, "--out", out).exit_code == 0
    before = load_run(out).model.layers[0].weight
    for change in (lambda: path.write_text(FILE), path.unlink):
        change()
        run = load_run(out)
        assert run.problem.settings["width"] == 5
        assert jnp.array_equal(run.model.layers[0].weight, before)


def test_a_balanced_run_is_loaded_as_the_one_it_was(file, tmp_path):
    run_cli("solve", file, "--balance", "--steps", 5, "--out", tmp_path)
    run = load_run(tmp_path)  # a warning would be an error
    assert run.problem.balance


@pytest.mark.slow
def test_a_shipped_problem_and_one_of_no_file_are_loaded(tmp_path):
    assert run_cli("solve", "ritz-1d", "--steps", 0, "--out", tmp_path / "ritz").exit_code == 0
    run = load_run(tmp_path / "ritz")
    assert run.problem.name == "ritz-1d"
    config = json.loads((tmp_path / "ritz" / "config.json").read_text())
    assert "text" not in config["problem_file"]
    config["problem_file"]["sha256"] = "0"
    (tmp_path / "ritz" / "config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match="another version of pinn_ngd"):
        load_run(tmp_path / "ritz")
    pinn_ngd.experiments.run_problem(tiny(), steps=0, out=tmp_path / "own", pictures=False)
    with pytest.raises(pinn_ngd.FolderError, match=r"load_run\(folder, problem=...\)"):
        load_run(tmp_path / "own")
    assert load_run(tmp_path / "own", problem=tiny()).model is not None
    with pytest.warns(UserWarning, match=r"another problem \(`terms\."):
        load_run(tmp_path / "own", problem=tiny(points=9))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_in_single_precision_says_how_it_is_loaded(file, tmp_path):
    assert run_cli("solve", file, "--x32", "--steps", 0, "--out", tmp_path / "x32").exit_code == 0
    assert load_run(tmp_path / "x32").model.layers[0].weight.dtype == "float32"
    jax.config.update("jax_enable_x64", True)
    with pytest.raises(ValueError, match=r"is float32.* in the file.*float64 switched on or off"):
        load_run(tmp_path / "x32")


def test_what_is_no_run_is_named(tmp_path, made):
    with pytest.raises(FileNotFoundError, match=r"no `config\.json`"):
        load_run(tmp_path / "none")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(pinn_ngd.FolderError, match="damaged or no file of a run"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text('{"settings": {"seed": "x"}}')
    with pytest.raises(pinn_ngd.FolderError, match="problem"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_bytes((made / "config.json").read_bytes())
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", 1], "`seed` is 0 there and 1 here"),
        (["--set", "width=5"], "`problem_settings.width` is 4 there and 5 here"),
        (["--set", "optimizer.rate=0.5"], "`optimizer_settings.rate` is"),
        (["--optimizer", "gd"], "`optimizer` is 'adam' there and 'gd' here"),
        (["--fixed-points"], "`fixed_points` is False there and True here"),
        (["--x32"], "`default_dtype` is 'float64' there and 'float32' here"),
        (["--set", "name=other"], "holds a run of the problem 'tiny', not of 'other'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_resume_of_another_run_exits_with_2_and_changes_nothing(file, made, arguments, words):
    before = contents(made)
    wide = [] if "width=5" in arguments else ["--set", "width=4"]
    result = run_cli("solve", file, *wide, "--steps", 100, "--out", made, "--resume", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert contents(made) == before


@pytest.mark.slow
def test_comments_of_a_problem_file_may_change_and_equations_may_not(tmp_path):
    path, out = changed_file(tmp_path, "def exact", "# a comment\ndef exact"), tmp_path / "run"
    assert run_cli("solve", path, "--steps", 50, "--out", out).exit_code == 0
    path.write_text(
        FILE.replace("def residual(u, x):", "\ndef residual(u,  x):\n    # another comment")
    )
    assert run_cli("solve", path, "--steps", 100, "--out", out, "--resume").exit_code == 0
    path.write_text(FILE.replace("jnp.pi**2", "jnp.pi**3"))
    before = contents(out)
    result = run_cli("solve", path, "--steps", 150, "--out", out, "--resume")
    assert result.exit_code == 2
    assert "`hash_of_the_problem_file` is" in result.stderr
    assert contents(out) == before


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("FILE", "is a file or a device"),
        ("/dev/null", "a file or a device"),
        ("/proc/none/run", "cannot write"),
        ("n" * 300, "longer than the file system allows"),
    ],
)
@pytest.mark.parametrize("command", ["solve", "compare"])
def test_a_folder_that_cannot_be_written_is_one_sentence(file, tmp_path, out, words, command):
    path = tmp_path / "precious"
    path.write_text("precious")
    out = path if out == "FILE" else tmp_path / out
    result = run_cli(command, file, "--steps", 5, "--out", out)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("error: cannot write")
    assert len(result.stderr.strip().splitlines()) == 1
    assert path.read_text() == "precious"


def test_a_full_disk_is_one_sentence_and_keeps_the_old_run(file, made, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    before = contents(made)
    monkeypatch.setattr(os, "fsync", full)
    result = run_cli("solve", file, "--steps", 50, "--seed", 3, "--out", made)
    assert result.exit_code == 2
    assert "no space is left on the disk" in result.stderr
    assert contents(made) == before


@pytest.mark.parametrize("command", ["solve", "compare", "check"])
def test_a_problem_file_is_executed_once(tmp_path, command):
    count = tmp_path / "count"
    text = f"with open({str(count)!r}, 'a') as f: f.write('x')\nimport jax.numpy as jnp"
    path = changed_file(tmp_path, "import jax.numpy as jnp", text)
    budget = {"solve": ("--steps", 0), "compare": ("--steps", 0, "--optimizers", "adam,gd",
              "--seeds", 2), "check": ()}  # fmt: skip
    out = () if command == "check" else ("--out", tmp_path / "out")
    result = run_cli(command, path, *budget[command], *out)
    assert result.exit_code == 0, result.output
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def exact", "import sys\nsys.exit()\ndef exact"),
        ("    domain = I", "    raise SystemExit(0)\n    domain = I"),
        ("    return laplacian", "    raise SystemExit\n    return laplacian"),
    ],
    ids=["file", "problem", "residual"],
)
def test_sys_exit_in_a_problem_file_is_an_error(tmp_path, old, new):
    path = changed_file(tmp_path, old, new)
    result = run_cli("solve", path, "--steps", 5, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "sys.exit(" in result.stderr
    assert "changed.py" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.slow
def test_a_picture_that_fails_is_no_failure(file, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no picture")

    for name in ("plot_solution", "plot_history", "plot_comparison"):
        monkeypatch.setattr(pinn_ngd.experiments.plotting, name, fail)
    result = run_cli("solve", file, "--steps", 50, "--out", tmp_path / "a")
    assert result.exit_code == 0
    assert "warning: the picture of the history could not be drawn" in result.stderr
    assert "reached the budget" in result.stdout
    budget = ("--steps", 50, "--optimizers", "adam", "--seeds", 1)
    result = run_cli("compare", file, *budget, "--out", tmp_path / "b")
    assert result.exit_code == 0
    assert "could not be drawn" in result.stderr


@pytest.mark.parametrize("name", ["[/red]", "../../up", "[bold]x"])
def test_names_with_markup_and_paths_are_printed_as_they_are(file, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = run_cli("solve", file, "--steps", 0, "--set", f"name='{name}'")
    assert result.exit_code == 0, result.output
    assert name in result.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "result.json").is_file()
    budget = ("--steps", 0, "--optimizers", "adam", "--seeds", 1, "--set", f"name='{name}'")
    result = run_cli("compare", file, *budget)
    assert result.exit_code == 0, result.output
    assert name in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_version():
    result = run_cli("--version")
    assert result.exit_code == 0
    assert result.stdout == f"pinn-ngd {pinn_ngd.__version__}\n"
