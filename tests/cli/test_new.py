"""`pinn-ngd new`: a problem file that works as it is written."""

import pytest

from pinn_ngd import list_problems, load_problem
from tests.tiny import run_cli


@pytest.mark.parametrize("like", ["poisson-2d", "heat-1d", "lorenz-63"])
@pytest.mark.usefixtures("double_precision")
def test_the_new_file_is_the_shipped_problem_under_its_own_name(tmp_path, like):
    path = tmp_path / "my_equation.py"
    written = run_cli("new", path, "--like", like)
    assert written.exit_code == 0, written.stderr
    assert f"pinn-ngd solve {path}" in written.stdout.replace("\n", "")
    mine, shipped = load_problem(str(path)), load_problem(like)
    assert mine.name == "my-equation"
    assert mine.settings == shipped.settings
    assert f"began as the shipped problem '{like}'" in path.read_text()
    assert "pinn-ngd solve my_equation.py" in path.read_text()


def test_every_shipped_problem_can_be_started_from(tmp_path):
    for like in list_problems():
        path = tmp_path / f"{like.replace('-', '_')}_copy.py"
        assert run_cli("new", path, "--like", like).exit_code == 0
        compile(path.read_text(), path, "exec")
        text = path.read_text()
        has_terms = any(name in text for name in ("Residual(", "Energy("))
        assert ("* The terms." in text) == has_terms, like
        assert ("* The objective" in text) != has_terms, like


@pytest.mark.parametrize(
    ("name", "like", "words"),
    [
        ("there.py", "heat-1d", "is there already"),
        ("mine.txt", "heat-1d", "does not end in .py"),
        ("mine.py", "heat-1", "Did you mean 'heat-1d'"),
        ("none/mine.py", "heat-1d", "No such file or directory"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_line(tmp_path, name, like, words):
    (tmp_path / "there.py").write_text("kept")
    refused = run_cli("new", tmp_path / name, "--like", like)
    assert refused.exit_code == 2
    assert words in refused.stderr.replace("\n", " ")
    assert "Traceback" not in refused.stderr
    assert (tmp_path / "there.py").read_text() == "kept"
