"""Names that installed distributions give by entry points."""

import textwrap

import lineax as lx
import pytest

from pinn_ngd import linalg, metrics, optimizers
from pinn_ngd._registry import Registry
from pinn_ngd.linalg.solvers import SOLVERS

CODE = """
import lineax as lx
from pinn_ngd import metrics, optimizers


class Theirs(optimizers.TrustRegion):
    "A trust region of somebody else."

    bibtex = "@misc{theirs}"
    averaged = True


class TheirMetric(metrics.Euclidean):
    "A metric of somebody else."


def their_lu(eps):
    "LU of somebody else."
    return lx.LU()
"""


@pytest.fixture
def distribution(tmp_path, monkeypatch, registries):
    """A function that installs a distribution with these entry points and this code."""
    del registries

    def install(points, code=CODE, module="theirs"):
        (tmp_path / f"{module}.py").write_text(code)
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(textwrap.dedent(points))
        monkeypatch.syspath_prepend(tmp_path)
        for known in (optimizers.registry.PRESETS, metrics.METRICS, SOLVERS):
            known.is_complete = False

    return install


def test_a_name_that_is_not_known_is_looked_for_in_distributions(distribution):
    distribution("""
        [pinn_ngd.optimizers]
        theirs = theirs:Theirs
        [pinn_ngd.metrics]
        their-metric = theirs:TheirMetric
        [pinn_ngd.solvers]
        their-lu = theirs:their_lu
    """)
    assert "theirs" not in optimizers.registry.PRESETS
    assert isinstance(optimizers.get("theirs"), optimizers.TrustRegion)
    assert isinstance(optimizers.get("theirs", average=0.5), optimizers.Averaged)
    assert optimizers.citation("theirs") == "@misc{theirs}"
    assert optimizers.names()["theirs"] == "A trust region of somebody else."
    assert isinstance(metrics.get("their-metric"), metrics.Euclidean)
    assert linalg.solver_names()["their-lu"] == "LU of somebody else."
    assert isinstance(linalg.get_solver("their-lu"), lx.LU)


def test_a_known_name_loads_nothing(distribution):
    distribution("[pinn_ngd.optimizers]\ntheirs = theirs:Theirs\n", "raise SystemExit")
    optimizers.get("engd-tr")
    assert not optimizers.registry.PRESETS.is_complete


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("'this is no Python", "SyntaxError: unterminated string"),
        ("Other = 1", "AttributeError: module 'broken' has no attribute 'Theirs'"),
    ],
)
def test_a_broken_distribution_is_a_warning_that_names_it(distribution, code, words):
    distribution("[pinn_ngd.optimizers]\nbroken = broken:Theirs\n", code, "broken")
    with pytest.warns(
        UserWarning, match="the optimizer 'broken' of the distribution 'broken'"
    ) as w:
        assert "engd-tr" in optimizers.names()
    (warning,) = w
    assert words in str(warning.message)
    assert "\n" not in str(warning.message)
    optimizers.names()  # once is enough
    with pytest.raises(ValueError, match="unknown optimizer 'broken'; known are engd-tr"):
        optimizers.get("broken")


def test_a_name_that_is_taken_stays_what_it_was(distribution):
    distribution("[pinn_ngd.optimizers]\nengd = taken:Theirs\n", CODE, "taken")
    with pytest.warns(UserWarning, match="'engd' is taken by another optimizer"):
        optimizers.names()
    assert isinstance(optimizers.get("engd"), optimizers.NaturalGradient)


def test_anything_may_be_asked_for():
    known: Registry[int] = Registry("thing", "pinn_ngd.no_such_group", print)
    known.add("one", 1, lambda entry: entry)
    with pytest.raises(ValueError, match=r"unknown thing \[\]; known are one"):
        known.find([])
