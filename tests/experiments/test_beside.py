"""Problem files that import others from their folder."""

import json
import sys

import pytest

from pinn_ngd import load_run
from pinn_ngd.experiments import load_problem, run_problem
from pinn_ngd.experiments.beside import files_beside, forget
from pinn_ngd.storage import FolderError
from tests.tiny import FILE, contents

PROBLEM = FILE.replace(
    '"""A tiny problem."""',
    '"""A tiny problem."""\nfrom __future__ import annotations\nfrom dataclasses import dataclass\n'
    "from constants import FACTOR\n\n@dataclass\nclass Settings:\n    factor: float = FACTOR\n",
).replace("jnp.pi**2 *", "Settings().factor * jnp.pi**2 *")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(PROBLEM)
    (tmp_path / "constants.py").write_text("from library.numbers import ONE\nFACTOR = ONE\n")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "numbers.py").write_text("from . import more\nONE = more.HALF * 2\n")
    (tmp_path / "library" / "more.py").write_text("HALF = 0.5\n")
    yield tmp_path
    forget()


def run(folder, steps=1, **options):
    return run_problem(
        load_problem(folder / "mine.py"), "gd", steps=steps, out=folder / "run", pictures=False,
        **options,
    )  # fmt: skip


def test_what_is_imported_is_found_without_running_it(folder):
    wanted = {"constants.py", "library/numbers.py", "library/more.py"}
    assert set(files_beside(folder, PROBLEM)) == wanted
    (folder / "library" / "__init__.py").write_text("")
    assert set(files_beside(folder, PROBLEM)) == wanted | {"library/__init__.py"}
    inside = "def later():\n    import constants as c, os.path, jax.numpy"
    assert set(files_beside(folder, inside)) == wanted | {"library/__init__.py"}
    assert files_beside(folder, "import constants +") == {}
    (folder / "pinn_ngd").mkdir()
    (folder / "pinn_ngd" / "__init__.py").write_text("")
    (folder / "json.py").write_text("")
    assert files_beside(folder, "import pinn_ngd, json") == {}


def test_a_file_beside_belongs_to_the_identity_of_a_run(folder):
    run(folder)
    record = json.loads((folder / "run" / "config.json").read_text())["problem_file"]
    assert set(record["beside"]) == {"constants.py", "library/numbers.py", "library/more.py"}
    (folder / "library" / "more.py").write_text("HALF = 0.5  # a comment\n")
    assert run(folder, steps=2, resume=True)["steps"] == 2
    (folder / "library" / "more.py").write_text("HALF = 0.25\n")
    before = contents(folder / "run")
    with pytest.raises(FolderError, match="`hash_of_the_problem_file` is"):
        run(folder, steps=3, resume=True)
    assert contents(folder / "run") == before


def test_a_run_is_loaded_with_what_it_imported_then(folder):
    loss = run(folder)["loss"]
    for change in ("HALF = 0.25\n", None):
        file = folder / "library" / "more.py"
        file.unlink() if change is None else file.write_text(change)
        loaded = load_run(folder / "run")  # a warning would be an error
        objective = loaded.problem.objective
        assert float(objective.loss(loaded.model, objective.batch())) == pytest.approx(loss)


def test_another_folder_has_files_of_its_own(folder, tmp_path_factory):
    load_problem(folder / "mine.py")
    assert sys.modules["constants"].FACTOR == 1.0
    other = tmp_path_factory.mktemp("other")
    (other / "mine.py").write_text(PROBLEM)
    (other / "constants.py").write_text("FACTOR = 3.0\n")
    load_problem(other / "mine.py")
    assert sys.modules["constants"].FACTOR == 3.0


def test_what_is_not_beside_is_not_found(tmp_path):
    (tmp_path / "mine.py").write_text(PROBLEM)
    with pytest.raises(ModuleNotFoundError, match="constants"):
        load_problem(tmp_path / "mine.py")
