"""The suite: what it lists can be run, and its pages say what its numbers say."""

import importlib
import json
import pathlib
import sys
from argparse import Namespace

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import list_problems, load_problem

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts import those beside them
report, suite, spectral, report_tables, report_targets, suite_list = (
    importlib.import_module(name)
    for name in ("report", "suite", "spectral", "report_tables", "report_targets", "suite_list")
)

RUN = {
    "problem": "poisson-2d", "seed": 200, "budget": 20, "parameters": 1737, "relative_l2": 1e-13,
    "corrected_relative_l2": 1e-15, "estimated_relative_l2": 9e-14, "estimate_reliable": True,
    "seconds": 20.0, "steps": 80, "gibibytes": 0.9, "errors_at": {"5": 1e-3, "15": 1e-6},
    "versions": {"jax": "0"},
}  # fmt: skip
FAILED = {"problem": "poisson-2d", "seed": 204, "budget": 20, "failed": True}


@pytest.mark.slow
def test_every_entry_can_be_run():
    for label, entry in suite_list.entries().items():
        name, _, variant = label.partition(":")
        assert name in list_problems()
        assert bool(variant) == bool(entry.get("settings"))
        assert load_problem(name, **entry.get("settings", {})).domain is not None
        assert set(entry) <= {"seconds", "seeds", "settings", "target", "early", "published"}
        assert set(entry.get("published", {})) <= {"error", "seconds", "hardware", "by"}


def test_pages_are_those_of_the_numbers():
    runs = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert report.PAGE.read_text(encoding="utf-8") == report.page(runs)
    groups = suite_list.grouped(run for run in runs if suite_list.in_suite(run))
    readme = report.README.read_text(encoding="utf-8")
    assert report_tables.with_table(readme, report.short(groups)) == readme
    evolution = report.EVOLUTION.read_text(encoding="utf-8")
    assert report_tables.with_table(evolution, report.windowed(groups), "windows") == evolution


def test_windows_stand_beside_the_same_equation_at_once():
    labels = {"kdv": 1e-5, "kdv:six windows of time": 1e-6, "reaction:ten windows of time": 1.0}
    runs = [dict(RUN, problem=label, relative_l2=error) for label, error in labels.items()]
    _, _, *lines = report.windowed(suite_list.grouped(runs)).splitlines()
    assert lines == ["| `kdv` | six | 20 | 1.0e-05 | 1.0e-15 | 20 | 1.0e-06 | 1.0e-15 |"]


def test_a_table_goes_between_its_marks():
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report_tables.with_table(text, "new\n")
    assert new == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report_tables.with_table(new, "new\n") == new
    assert report_tables.with_table("no marks\n", "new\n") == "no marks\n"


def test_median_and_worst_of_runs():
    runs = [
        dict(RUN, seed=seed, relative_l2=error) for seed, error in enumerate([3e-9, 1e-9, 2e-9])
    ]
    line = report.errors(suite_list.grouped(runs)).splitlines()[2]
    assert "| 2.0e-09 (3.0e-09) | 1.0e-15 (1.0e-15) |" in line
    assert "| 0, 1, 2 |" in line


def test_a_corrected_solution_that_not_all_runs_claim():
    other = {key: value for key, value in RUN.items() if key != "corrected_relative_l2"}
    assert report.corrected([RUN, other]) == "1.0e-15, 1 of 2"
    assert report.corrected([RUN, RUN]) == "1.0e-15 (1.0e-15)"
    assert report.corrected([other]) == ""


def test_an_eigenvalue_stands_for_the_error_where_no_other_is_known():
    other = {key: value for key, value in RUN.items() if key != "relative_l2"}
    assert report.network([other | {"first_error": 3e-9}]) == "3.0e-09, eigenvalue"
    assert report.network([RUN | {"first_error": 3e-9}]) == "1.0e-13"
    assert report.network([other]) == ""


def test_runs_that_name_no_commit_are_told():
    new = RUN | {"seed": 201, "commit": "74201be"}
    assert report.earlier({"a": [RUN, new], "b": [RUN], "c": [new]}) == ["`a` (200)", "`b` (all)"]


def test_a_commit_needs_neither_git_nor_a_repository(monkeypatch):
    monkeypatch.setattr(suite.shutil, "which", lambda _: None)
    assert suite.commit.__wrapped__() == ""
    said = {"rev-parse": "74201be\n", "status": " M pinn_ngd/a.py\n"}
    monkeypatch.setattr(suite.shutil, "which", lambda _: "git")
    monkeypatch.setattr(suite, "from_git", lambda command, *_: said[command].strip())
    assert suite.commit.__wrapped__() == "74201be-dirty"
    said["status"] = ""
    assert suite.commit.__wrapped__() == "74201be"
    said["rev-parse"] = ""
    assert suite.commit.__wrapped__() == ""


def test_a_target_is_judged_by_what_was_reached_by_its_time():
    """A run of 20 s says nothing better about 15 s than the last error measured before."""
    assert report_targets.error_by([RUN], 20.0) == 1e-13
    assert report_targets.error_by([RUN], 15.0) == 1e-6
    assert report_targets.error_by([RUN], 10.0) == np.inf
    assert report_targets.error_by([RUN], 60.0) == 1e-13
    late = report_targets.targets({"poisson-2d": [RUN, RUN]})
    assert "| 1.0e-06, 15 s |  | missed for time: 1.0e-13 after 20 s |" in late
    assert "| missed |" in report_targets.targets({"poisson-2d": [RUN, FAILED]})
    assert "| reached |" in report_targets.targets({"poisson-2d": [dict(RUN, seconds=14.0)]})


def test_a_target_may_be_reached_by_the_corrected_solution():
    """Of runs that were over by its time, of which none failed."""
    run = dict(RUN, seconds=14.0, relative_l2=1e-9)
    assert "| 1.0e-15 | reached by the corrected solution |" in report_targets.targets(
        {"poisson-2d": [run, run]}
    )
    for rows in ([dict(run, seconds=20.0)], [run, run, FAILED]):
        assert "missed" in report_targets.targets({"poisson-2d": rows})


def test_a_run_that_claims_no_corrected_solution_counts_with_its_network():
    run = dict(RUN, seconds=14.0, relative_l2=1e-9)
    unclaimed = {key: value for key, value in run.items() if key != "corrected_relative_l2"}
    assert report_targets.corrected_by([run, run, unclaimed], 15.0) == 1e-15
    assert report_targets.corrected_by([run, unclaimed, unclaimed], 15.0) == 1e-9
    assert report_targets.corrected_by([unclaimed], 15.0) is None


def test_a_miss_names_another_way_that_reached_the_target():
    """A way of solving the same equation, not one of another viscosity, by its seconds."""
    miss = dict(RUN, relative_l2=1e-5, corrected_relative_l2=1e-4)
    groups = {
        "burgers-1d": [miss],
        "burgers-1d:viscosity 0.01, six windows of time": [dict(RUN, relative_l2=1e-15)],
    }
    assert report_targets.another_way("burgers-1d", groups) == ""
    other = dict(RUN, relative_l2=1e-6, corrected_relative_l2=1e-9)
    groups["burgers-1d:six windows of time"] = [other]
    words = "missed in 20 s; reached in 6 windows of time by the corrected solution |"
    assert words in report_targets.targets(groups)
    groups["burgers-1d:six windows of time"] = [dict(other, relative_l2=1e-9)]
    assert report_targets.another_way("burgers-1d", groups) == "in 6 windows of time"
    groups["burgers-1d:six windows of time"] = [FAILED]
    assert report_targets.another_way("burgers-1d", groups) == ""
    back = {"burgers-1d": [dict(RUN, relative_l2=1e-9)], "burgers-1d:six windows of time": [miss]}
    assert report_targets.another_way("burgers-1d:six windows of time", back) == "at once"


def test_a_way_in_which_the_network_reached_the_target_is_named_first():
    groups = {
        "wave-1d": [dict(RUN, relative_l2=1e-5)],
        "wave-1d:four windows of time": [dict(RUN, relative_l2=1e-7)],
        "wave-1d:sine waves": [dict(RUN, relative_l2=1e-14)],
    }
    assert report_targets.another_way("wave-1d", groups) == "with sine waves"


def test_runs_that_are_missing_are_told():
    page = report.page([dict(RUN, seed=seed) for seed in range(200, 203)])
    assert "\nSeeds still to run: `poisson-2d` (2).\n" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"corrected_relative_l2": 1e-14}, "missed for time: 1.0e-14 after 45 s"),
        ({"fitted_relative_l2": 1e-12}, "missed for the network: 1.0e-12 after 45 s, and the same"),
        ({"held_out_over_training_loss": 9.0}, "missed for points: 1.0e-12 after 45 s, held-out"),
        ({}, "missed for slow steps: 1.0e-12 after 45 s, and the same"),
    ],
)
def test_what_a_miss_is_due_to(changes, words, tmp_path, monkeypatch):
    """The target is 1e-13."""
    run = {
        "relative_l2": 1e-12, "corrected_relative_l2": None, "seconds": 45.0,
        "held_out_over_training_loss": 2.0, "fitted_relative_l2": 1e-15,
    }  # fmt: skip
    file = tmp_path / "limits.json"
    monkeypatch.setattr(report_targets, "LIMITS", file)
    assert report_targets.limit("poisson-2d", [RUN]) == "missed"
    file.write_text(json.dumps({"poisson-2d": run | changes}), encoding="utf-8")
    assert report_targets.limit("poisson-2d", [RUN]).startswith(words)
    enough = [dict(RUN, held_out_loss=2.0, loss=1.0)]
    assert "for points" not in report_targets.limit("poisson-2d", enough)
    assert report_targets.missed("poisson-2d", [RUN])
    assert not report_targets.missed("poisson-2d", [dict(RUN, seconds=14.0)])
    assert not report_targets.missed("beam", [dict(RUN, problem="beam")])


def test_a_run_that_is_in_the_file_is_not_repeated(tmp_path):
    numbers = suite.Numbers(tmp_path / "a" / "runs.json")
    numbers.add(RUN)
    again = suite.Numbers(tmp_path / "a" / "runs.json")
    assert again.runs == [RUN]
    assert again.has(("poisson-2d", 200, 20, tmp_path))
    failed = {"problem": "kdv", "seed": 200, "budget": 120, "failed": True}
    again.add(failed)
    page = report.errors(suite_list.grouped(again.runs))
    assert "200; failed: 200" in page
    assert not again.has(("poisson-2d", 201, 20, tmp_path))


def test_jobs_come_seed_by_seed():
    options = Namespace(
        problems=["heat-1d", "helmholtz"], seeds=2, first=5, quick=False, seconds=None, at_most=None
    )
    found = [job[:3] for job in suite.jobs(options)]
    assert found == [(p, s, b) for s in (5, 6) for p, b in (("heat-1d", 20), ("helmholtz", 120))]
    quick = Namespace(**{**vars(options), "quick": True})
    assert [job[:3] for job in suite.jobs(quick)] == [("heat-1d", 5, 5.0), ("helmholtz", 5, 5.0)]
    short = Namespace(**{**vars(options), "at_most": 20.0})
    assert [job[:3] for job in suite.jobs(short)] == [("heat-1d", 5, 20), ("heat-1d", 6, 20)]


def test_an_entry_may_have_fewer_seeds_than_the_others(monkeypatch):
    for module in (suite, suite_list):
        monkeypatch.setattr(module, "entries", lambda: {"kdv": {"seeds": 1}, "beam": {}})
    options = Namespace(
        problems=["kdv", "beam"], seeds=None, first=5, quick=False, seconds=1.0, at_most=None
    )
    assert [job[:2] for job in suite.jobs(options)][:3] == [("kdv", 5), ("beam", 5), ("beam", 6)]
    assert len(list(suite.jobs(options))) == 1 + suite_list.SEEDS
    more = Namespace(**{**vars(options), "seeds": 2})
    assert len(list(suite.jobs(more))) == 4


def test_a_series_is_that_of_numpy():
    coefficients = np.random.default_rng(0).normal(size=(1, 4, 5))
    parts = (coefficients, np.array([-1.0, 0.0]), np.array([2.0, 1.0]))
    model = spectral.Chebyshev(*map(jnp.asarray, parts), True)
    x = np.array([0.3, 0.8])
    expected = np.polynomial.chebyshev.chebval2d(0.3, 0.6, coefficients[0])
    np.testing.assert_allclose(model(jnp.asarray(x)), expected, rtol=1e-13)


@pytest.mark.slow
def test_a_polynomial_solves_poisson():
    problem = load_problem("poisson-2d", points=22)
    model, _ = spectral.solve(problem, spectral.series(problem, 14))
    assert spectral.relative_error(problem, model) < 1e-11


@pytest.mark.slow
def test_one_run_leaves_its_numbers(tmp_path):
    suite.run_one("heat-1d", 3, 0.5, tmp_path / "run")
    found = suite.recorded(tmp_path / "run", [0.01, 0.2])
    assert found["steps"] >= 1
    assert 0.1 < found["gibibytes"] < 20
    assert 0 < found["relative_l2"] < 10
