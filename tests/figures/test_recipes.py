"""Recipes: how they are found, what they leave, and those of the thermodynamic solver."""

import json
import re
import sys
from types import SimpleNamespace

import jax
import pytest
from typer.testing import CliRunner

from figures import tngd_training
from figures.recipes import Job, comparison, job, learning, make
from figures.recipes.making import recipe
from pinn_ngd import load_problem
from pinn_ngd.cli import app, recipes
from tests.pictures import is_drawn
from tests.tiny import FILE

PICTURES = {
    "tngd-time": ("seconds", "steps"),
    "tngd-delay": ("seconds", "steps"),
    "tngd-noise": ("seconds", "steps"),
    "tngd-training": ("seconds", "epochs"),
    "tngd-bits": (),
    "spu-algebra": (),
    "spu-damping": (),
    "spu-rounding": (),
    "step-times": (),
}
TABLES = ("tngd-baselines", "tngd-posterior")


@pytest.mark.slow
def test_thermodynamic_pictures_are_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the data of the real one comes with an extra
    monkeypatch.setattr(tngd_training, "make", learning("classify-digits", ("sgd", "adam"), 1))
    out = tmp_path / "figures"
    make([*PICTURES, *TABLES], out=out, quick=True, tell=lambda _: None)
    for name, kinds in PICTURES.items():
        for stem in [f"{name}-{kind}" for kind in kinds] or [name]:
            assert is_drawn(out / f"{stem}.png")
            assert (out / f"{stem}.pdf").is_file()
            record = json.loads((out / f"{stem}.json").read_text())
            assert record["command"].startswith(f"pinn-ngd figures {name} --quick")
            assert record["seconds"] > 0
    for name in TABLES:
        assert (out / f"{name}.md").read_text().count("\n") > 3
        assert (out / f"{name}.json").is_file()


def test_learning_needs_epochs(tmp_path):
    job = Job("x", tmp_path, quick=True)
    with pytest.raises(ValueError, match="it has no epochs"):
        learning("poisson-2d", ("adam",), 1)(job)


@pytest.mark.parametrize("name", list(recipes.list_figures()))
def test_every_figure_is_a_file_that_says_what_it_shows(name):
    assert callable(recipe(name))
    assert recipes.list_figures()[name].endswith(".")


def test_every_output_belongs_to_a_recipe():
    folder = recipes.figures_folder()
    assert folder is not None
    commands = {json.loads(file.read_text())["command"] for file in folder.glob("*.json")}
    assert {command.split()[2] for command in commands} <= set(recipes.list_figures())


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A folder in which every problem is a tiny one, with a comparison of its own."""
    (tmp_path / "tiny.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "load_problem", lambda _, **own: load_problem("tiny.py", **own))
    own = SimpleNamespace(make=comparison("tiny", ["adam"], seeds=1, seconds=1.0))
    monkeypatch.setitem(sys.modules, "figures.compare_tiny", own)
    return tmp_path


@pytest.mark.slow
def test_figures_leave_their_command_beside_them(tiny):
    out = tiny / "figures"
    names = ("ritz-1d", "compare-tiny")
    make(names, out=out, quick=True, tell=lambda _: None)
    for name in (
        "ritz-1d-solution",
        "ritz-1d-history",
        "compare-tiny-seconds",
        "compare-tiny-steps",
    ):
        assert is_drawn(out / f"{name}.png")
        assert (out / f"{name}.pdf").is_file()
        record = json.loads((out / f"{name}.json").read_text())
        assert record["command"].startswith(f"pinn-ngd figures {name.rsplit('-', 1)[0]} --quick")
        assert "cores of" in record["hardware"]
        assert record["versions"]["jax"] == jax.__version__
        assert record["seeds"] == [0]


@pytest.mark.slow
def test_the_command_makes_a_figure(tiny):
    result = CliRunner().invoke(app, ["figures", "--quick", "ritz-1d"])
    assert result.exit_code == 0, result.stderr
    written = [tiny / line for line in result.stdout.splitlines()]
    assert len(written) == 6
    assert all(path.is_file() for path in written)


def test_outside_of_a_checkout_there_are_no_recipes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "PACKAGE", tmp_path / "site-packages" / "pinn_ngd")
    result = CliRunner().invoke(app, ["figures", "poisson-2d"])
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*lie in the repository.*checkout\.\n", result.stderr)


def test_an_installed_package_finds_the_recipes_of_the_working_directory(monkeypatch, tmp_path):
    (tmp_path / "figures" / "recipes").mkdir(parents=True)
    (tmp_path / "figures" / "one_more.py").write_text('"""One more figure."""\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "PACKAGE", tmp_path / "site-packages" / "pinn_ngd")
    assert recipes.list_figures() == {"one-more": "One more figure."}
    assert recipes.chosen_recipes([]) == ["one-more"]
