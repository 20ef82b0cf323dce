"""A run in its folder, its continuation, and the comparison of several."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    laplacian,
    optimizers,
)
from pinn_ngd.experiments import (
    as_markdown,
    check_problem,
    compare_optimizers,
    effective_settings,
    run_problem,
    summarize,
    table_cells,
)
from pinn_ngd.experiments.plan import planned
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import by_size, cost
from pinn_ngd.storage.reading import read_history
from pinn_ngd.training import AbstractCallback

DOMAIN = Interval(0.0, 1.0)
PICTURES = {"solution.png", "solution.pdf", "history.png", "history.pdf"}


def exact(x):
    return jnp.sin(jnp.pi * x[0])


def _problem(residual=lambda u, x: laplacian(u)(x) + jnp.pi**2 * exact(x), **changes):
    settings = {
        "name": "tiny",
        "description": "a tiny problem",
        "objective": ResidualObjective([Residual(residual, GaussLegendre(DOMAIN, 6))]),
        "model": lambda key: MLP((1, 3, 1), key=key),
        "domain": DOMAIN,
        "evaluation": GaussLegendre(DOMAIN, 12).quadrature(),
        "exact": exact,
        "optimizer": "adam",
    }
    return Problem(**{**settings, **changes})


class _Interrupt(AbstractCallback):
    def on_step(self, record, model):
        del model
        if record["step"] >= 100:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def problem():
    return _problem()


@pytest.fixture(scope="module")
def finished(problem, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return run_problem(problem, steps=100, out=out), out


def test_files_of_a_run(finished):
    result, out = finished
    assert {path.name for path in out.iterdir()} == PICTURES | {
        "config.json", "history.jsonl", "result.json", "checkpoint",
    }  # fmt: skip
    written = json.loads((out / "result.json").read_text())
    assert written == {name: value for name, value in result.items() if name != "folder"}
    assert (written["problem"], written["optimizer"], written["seed"]) == ("tiny", "adam", 0)
    assert (written["steps"], written["parameters"], written["status"]) == (100, 10, "budget")
    assert written["relative_h1"] > 0
    assert written["dtype"] == "float64"
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert settings["steps"] == 100
    assert settings["seconds"] is None  # the problem's 60 s do not cut a run counted in steps


def test_result_has_the_last_error_of_the_history(finished):
    result, out = finished
    last = read_history(out)[-1]
    assert last["relative_l2"] == result["relative_l2"]
    assert "relative_h1" not in last


def test_without_a_named_optimizer_the_size_chooses_and_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(by_size, "LONGEST", -1.0)  # no second program to compile
    unnamed, said = _problem(optimizer=None), []
    arguments = {"steps": 1, "out": tmp_path / "a", "pictures": False, "tell": said.append}
    assert run_problem(unnamed, **arguments)["optimizer"] == "engd-sub"
    assert len(said) == 1
    assert said[0].startswith("6 rows x 10 parameters would take engd-tr about")
    assert run_problem(unnamed, **arguments, resume=True)["optimizer"] == "engd-sub"
    monkeypatch.undo()
    plan = planned(unnamed, None, None, None, 0, 1, None, None, False)
    assert plan.record["optimizer"] == unnamed.optimizer == "engd-tr"


def test_a_copy_with_another_optimizer_means_that_one(monkeypatch):
    monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
    unnamed = _problem(optimizer=None)
    for changes in ({"optimizer": "adam"}, {"optimizer_settings": {"corrections": 2}}):
        copy = dataclasses.replace(unnamed, **changes)
        plan = planned(copy, None, None, None, 0, 1, None, None, False)
        assert plan.record["optimizer"] == changes.get("optimizer", "engd-tr")
        assert plan.why is None
    same = dataclasses.replace(unnamed, seconds=1.0)
    plan = planned(same, None, None, None, 0, 1, None, None, False)
    assert plan.record["optimizer"] == "engd-sub"


def test_a_named_optimizer_stays(monkeypatch):
    monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
    named, settings = _problem(optimizer="engd-tr"), {"corrections": 2}
    unnamed = _problem(optimizer=None)
    for problem, given, own in (
        (named, None, None),
        (unnamed, "engd-tr", None),
        (unnamed, None, settings),
    ):
        plan = planned(problem, given, own, None, 0, 1, None, None, False)
        assert plan.record["optimizer"] == "engd-tr"
        assert plan.why is None


def test_a_finished_run_is_reused(problem, finished):
    result, out = finished
    before = (out / "result.json").stat().st_mtime_ns
    assert run_problem(problem, steps=100, out=out, resume=True) == result
    assert (out / "result.json").stat().st_mtime_ns == before


def test_interrupted_and_resumed_is_the_same_run(problem, tmp_path):
    whole = run_problem(problem, steps=150, out=tmp_path / "whole", pictures=False)
    cut = run_problem(problem, steps=150, out=tmp_path / "cut", callbacks=[_Interrupt()])
    assert cut["status"] == "interrupted"
    assert cut["steps"] == 100
    assert {path.name for path in (tmp_path / "cut").iterdir()} >= PICTURES
    on = run_problem(problem, steps=150, out=tmp_path / "cut", resume=True, pictures=False)
    assert on["status"] == "budget"
    assert (on["loss"], on["relative_l2"]) == (whole["loss"], whole["relative_l2"])
    assert [line["step"] for line in read_history(tmp_path / "cut")] == [50, 100, 150]


def test_a_residual_that_raises_is_found_before_the_folder_is_touched(tmp_path):
    broken = _problem(residual=lambda u, x: u(x) + undefined)
    with pytest.raises(NameError, match="undefined"):
        run_problem(broken, steps=10, out=tmp_path / "broken")
    assert not (tmp_path / "broken" / "config.json").exists()


def test_a_run_that_raises_leaves_its_result(tmp_path, problem):
    class Broken(AbstractCallback):
        def on_step(self, *_):
            raise NameError("undefined")

    with pytest.raises(NameError, match="undefined"):
        run_problem(problem, steps=10, out=tmp_path / "broken", callbacks=[Broken()])
    result = json.loads((tmp_path / "broken" / "result.json").read_text())
    assert result["status"] == "failed"
    assert "NameError" in result["message"]


def test_a_run_that_is_not_finite_fails_with_files(tmp_path):
    fragile = _problem(residual=lambda u, x: jnp.log(u(x) + 5.0))  # no number where u < -5
    result = run_problem(
        fragile, "adam", settings={"rate": 1e3}, steps=10, out=tmp_path / "nan", pictures=False
    )
    assert result["status"] == "failed"
    assert np.isfinite(result["relative_l2"])
    assert (tmp_path / "nan" / "history.jsonl").is_file()


def test_default_folder_and_seed(tmp_path, monkeypatch, problem):
    monkeypatch.chdir(tmp_path)
    result = run_problem(problem, seed=3, steps=0, pictures=False)
    assert result["folder"] == "runs/tiny-adam-3"
    first = problem.model(jax.random.key(3))
    assert result["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(first))


def test_solver_is_recorded(problem, tmp_path):
    for name, solver, expected in (("gd", None, "cg"), ("engd", "qr", "qr"), ("adam", None, None)):
        result = run_problem(
            problem, name, solver_name=solver, steps=0, out=tmp_path / name, pictures=False
        )
        assert result["solver"] == expected


def test_without_an_exact_solution(tmp_path):
    result = run_problem(_problem(exact=None), steps=50, out=tmp_path)
    assert "relative_l2" not in result
    assert np.isfinite(result["loss"])
    assert (tmp_path / "solution.png").is_file()


def test_unknown_setting_is_refused(problem, tmp_path):
    with pytest.raises(ValueError, match="no setting speed"):
        run_problem(problem, settings={"speed": 2.0}, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def compared(problem, tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    lines = []
    summary = compare_optimizers(
        problem, ["adam", "scipy-lm"], seeds=range(2), steps=100, out=out, tell=lines.append
    )
    return summary, out, lines


def test_comparison_survives_an_optimizer_that_refuses(compared):
    summary, out, lines = compared  # 6 rows, 10 parameters: MINPACK wants it the other way round
    adam, lm = summary["rows"]
    assert (adam["failed"], lm["failed"]) == (0, 2)
    assert lm["median"] == np.inf
    assert any("at least as many rows" in line for line in lines)
    written = json.loads((out / "compare.json").read_text())
    assert len(written["runs"]) == 4
    assert written["rows"][0]["errors"] == adam["errors"]
    assert (out / "error-vs-seconds.png").is_file()
    assert (out / "error-vs-steps.pdf").is_file()
    assert (out / "error-vs-solves.png").is_file()
    assert written["runs"][0]["forward_solves"] == written["runs"][0]["adjoint_solves"] == 100


def test_settings_of_the_training_are_shared_and_printed(problem):
    own = {"rate": 0.5, "schedule": "cosine", "decay_steps": 100, "average": 0.9}
    shared = dataclasses.replace(problem, optimizer="sgd", optimizer_settings=own)
    assert effective_settings(shared, "sgd") == {**optimizers.settings("sgd"), **own}
    adam = effective_settings(shared, "adam")
    assert adam == {"rate": 1e-3, "schedule": "cosine", "decay_steps": 100, "average": 0.9}
    assert effective_settings(shared, "adam:schedule=constant")["schedule"] == "constant"
    assert effective_settings(shared, "adam", {"rate": 0.2, "time": 3.0})["rate"] == 0.2
    assert effective_settings(shared, "engd-tr") == optimizers.settings("engd-tr")


@pytest.mark.slow
def test_optimizers_may_be_objects(problem, tmp_path):
    given = optimizers.TrustRegion(acceptance=0.2)
    summary = compare_optimizers(
        problem, ["engd-tr", given, given, optax.sgd(1e-3)], seeds=[0], steps=1, out=tmp_path
    )
    rows = {row["optimizer"]: row["settings"] for row in summary["rows"]}
    assert rows == {
        "engd-tr": "defaults", "trust-region": "an object with its own",
        "trust-region-2": "an object with its own",
        "optax-optimizer": "an object with its own",
    }  # fmt: skip
    assert "engd-tr: defaults" in (tmp_path / "compare.md").read_text()
    own = dataclasses.replace(problem, optimizer=given)
    result = run_problem(own, steps=1, out=tmp_path / "own", pictures=False)
    assert result["optimizer"] == "trust-region"
    assert result["solver"] == "qlp"
    again = run_problem(problem, given, steps=1, out=tmp_path / "again", pictures=False)
    assert again["loss"] == result["loss"]
    assert check_problem(own)[0].passed
    with pytest.raises(ValueError, match="`acceptance` goes with the name of an optimizer"):
        run_problem(own, settings={"acceptance": 0.3}, out=tmp_path / "no")
    with pytest.raises(ValueError, match="`optimizer` is 5; it must be a name"):
        run_problem(problem, 5, out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_comparison_reuses_finished_runs(problem, compared):
    _, out, _ = compared
    config = out / "adam-0" / "config.json"
    before = config.stat().st_mtime_ns
    again = compare_optimizers(problem, ["adam"], seeds=range(2), steps=100, out=out, resume=True)
    assert config.stat().st_mtime_ns == before
    assert again["rows"][0]["median"] == compared[0]["rows"][0]["median"]


def test_row_of_the_table():
    runs = [
        {"relative_l2": error, "status": status, "steps": 10, "seconds": 1.0, "compile_seconds": 2}
        for error, status in ((1e-3, "budget"), (1e-1, "failed"), (1e-2, "stopped"))
    ]
    row = summarize("adam", runs)
    assert row is not None
    assert (row["median"], row["min"], row["max"], row["failed"]) == (1e-2, 1e-3, 1e-1, 1)
    assert row["seconds_per_step"] == pytest.approx(0.1)
    expected = ["adam", "1.0e-02", "1.0e-03", "1.0e-01", "1 of 3", "10", "0.1", "1.0"]
    assert table_cells(row) == expected
    markdown = as_markdown({"problem": "tiny", "measure": "loss", "rows": [row]})
    assert "| " + " | ".join(expected) + " |" in markdown
    assert summarize("adam", []) is None
