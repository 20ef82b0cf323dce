"""The command line: what it prints, what it writes, and how it exits."""

import json
import re
import shutil

import numpy as np
import pytest
import threadpoolctl
from typer.testing import CliRunner

import pinn_ngd
import pinn_ngd.experiments
from pinn_ngd import list_problems, metrics, optimizers
from pinn_ngd.cli import app
from pinn_ngd.cli.settings import assign
from pinn_ngd.linalg import solver_names
from tests.pictures import is_drawn
from tests.tiny import SETTINGS, changed_file, run_cli

pytestmark = pytest.mark.usefixtures("double_precision")


def test_solve_prints_a_summary_and_leaves_files(solved):
    result, out = solved
    assert result.exit_code == 0, result.stderr
    for words in ("relative L2 error", "relative H1 error", "loss", "training", "compilation",
                  "steps", "parameters", "reached the budget of 50 steps", str(out)):  # fmt: skip
        assert words in result.stdout
    written = json.loads((out / "result.json").read_text())
    assert f"{written['relative_l2']:.3e}" in result.stdout
    assert written["parameters"] == 13
    for name in ("solution.png", "solution.pdf", "history.png", "history.pdf"):
        assert is_drawn(out / name)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["problem_settings"] == SETTINGS | {"width": 4}
    assert config["settings"]["default_dtype"] == "float64"


def test_solve_says_how_wrong_it_is(solved):
    result, out = solved
    for words in ("estimated relative L2 error", "held-out loss", "largest held-out residual"):
        assert words in result.stdout
    written = json.loads((out / "result.json").read_text())
    assert written["estimate_reliable"] in (True, False)
    assert written["worst_residual"]["term"] == "residual"
    assert written["held_out_terms"]["residual"] == pytest.approx(written["held_out_loss"])
    assert np.isfinite(written["corrected_relative_l2"])


@pytest.mark.slow
def test_a_tolerance_is_the_exit_code(tmp_path):
    ends = ", Residual(lambda u, x: u(x), GaussLegendre(domain.boundary(), 1), 100.0, 'ends')"
    term = "Residual(residual, GaussLegendre(domain, points))"
    file = changed_file(tmp_path, term, term + ends)

    def run(tolerance, out, *more):
        return run_cli("solve", file, "--optimizer", "engd-tr", "--set", "width=8", "--steps", 60,
                    "--tolerance", tolerance, *more, "--out", tmp_path / out)  # fmt: skip

    loose = run(1e-2, "loose")
    assert loose.exit_code == 0, loose.stderr
    assert "reached the tolerance" in loose.stdout
    assert json.loads((tmp_path / "loose" / "result.json").read_text())["relative_l2"] < 2e-2
    loaded = pinn_ngd.load_run(tmp_path / "loose")
    written = json.loads((tmp_path / "loose" / "result.json").read_text())
    assert loaded.estimate.relative_l2 == pytest.approx(written["estimated_relative_l2"], rel=1e-6)
    error = loaded.problem.evaluator()(loaded.solution)["relative_l2"]
    assert error == pytest.approx(written["corrected_relative_l2"], rel=1e-3)
    sooner = run(1e-6, "sooner", "--corrected")
    assert sooner.exit_code == 0
    assert "with the corrected solution" in sooner.stdout
    tight = run(1e-30, "tight")
    assert tight.exit_code == 1
    assert "reached the tolerance" not in tight.stdout


def test_fixed_points_are_recorded(file, tmp_path):
    result = run_cli("solve", file, "--steps", 50, "--fixed-points", "--out", tmp_path / "fixed")
    assert result.exit_code == 0, result.stderr
    config = json.loads((tmp_path / "fixed" / "config.json").read_text())
    assert config["settings"]["fixed_points"] is True
    lines = result.stdout.splitlines()
    assert all(line == line.rstrip() for line in lines)  # a pipe gets no padding


def test_the_command_line_overrules_what_a_file_says(tmp_path):
    own = 'description="tiny", fixed_points=True, balance=True'
    mine = changed_file(tmp_path, 'description="tiny"', own)
    for flags, said in ((), True), (("--growing-points", "--no-balance"), False):
        out = tmp_path / str(said)
        result = run_cli("solve", mine, "--steps", 0, *flags, "--out", out)
        assert result.exit_code == 0, result.stderr
        settings = json.loads((out / "config.json").read_text())["settings"]
        assert settings["fixed_points"] is settings["balance"] is said


def test_solve_resumes_to_a_larger_budget(file, solved, tmp_path):
    out = shutil.copytree(solved[1], tmp_path / "run")
    result = run_cli("solve", file, "--steps", 100, "--set", "width=4", "--out", out, "--resume")
    assert result.exit_code == 0, result.stderr
    assert "reached the budget of 100 steps" in result.stdout
    steps = [json.loads(line)["step"] for line in (out / "history.jsonl").read_text().splitlines()]
    assert steps == [50, 100]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_single_precision(file, tmp_path):
    result = run_cli("solve", file, "--x32", "--steps", 0, "--out", tmp_path / "x32")
    assert result.exit_code == 0, result.stderr
    config = json.loads((tmp_path / "x32" / "config.json").read_text())
    assert config["settings"]["default_dtype"] == "float32"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", "poisson-2"], ["unknown problem", "Did you mean 'poisson-2d'?"]),
        (["solve", "missing.py"], ["no file missing.py"]),
        (["solve", "FILE", "--optimizer", "engd-t"], ["unknown optimizer", "'engd-tr'?"]),
        (["solve", "FILE", "--solver", "qrr"], ["unknown linear solver", "lsmr", "'qr'?"]),
        (["solve", "FILE", "--solver", "qr"], ["'adam' has no linear solver"]),
        (["solve", "FILE", "--set", "depth=3"], ["`depth`", "problem has width", "optimizer has"]),
        (["solve", "FILE", "--set", "rate=3"], ["`--set problem.rate=...`", "optimizer.rate"]),
        (["solve", "FILE", "--set", "width"], ["KEY=VALUE"]),
        (["solve", "FILE", "--set", "width=wide"], ["whole number", "default is 3"]),
        (["solve", "FILE", "--steps", "-1"], ["`steps` is -1"]),
        (["solve", "FILE", "--seed", "9223372036854775808"], ["the seed is 9223372036854775808"]),
        (["solve", "FILE", "--seed", "-1"], ["the seed is -1; it must be a whole number from 0"]),
        (["solve", "FILE", "--set", "width=" + "(" * 500], ["--set width="]),
        (["solve", "FILE", "--set", "width={[]: 1}"], ["`--set width=...`", "no Python literal"]),
        (["solve", "FILE", "--set", "optimizer.rate=-1"], ["`rate` is -1.0", "above 0"]),
        (["solve", "FILE", "--set", "optimizer.rate=1" + "0" * 400], ["the number is too large"]),
        (["solve", "FILE", "--set", "optimizer.rate=abc"], ["a number is needed"]),
        (["solve", "FILE", "--set", "average=2"], ["`average` is 2.0"]),
        (["solve", "FILE", "--set", "floor=1"], ["no setting `floor`"]),
        (["solve", "FILE", "--metric", "h1"], ["'adam' has no metric", "engd-tr and wngd have"]),
        (
            ["solve", "FILE", "--optimizer", "wngd", "--metric", "l2", "--set", "floor=1"],
            ["the metric has order, homogeneous"],
        ),
        (["solve", "FILE", "--optimizer", "wngd", "--set", "floor=-1"], ["`floor` is -1.0"]),
        (["solve", "FILE", "--optimizer", "wngd", "--set", "mass=none"], ["`mass` is 'none'"]),
        (["solve"], ["Missing argument"]),
        (["solve", "FILE", "--speed", "2"], ["No such option"]),
        (["compare", "FILE", "--optimizers", "adam,foo"], ["unknown optimizer 'foo'"]),
        (["compare", "FILE", "--optimizers", ","], ["nothing to compare"]),
        (["figures", "poison-2d"], ["unknown figure", "'poisson-2d'?"]),
        (["cite", "newton"], ["unknown optimizer", "engd-tr"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_bad_usage_exits_with_2_and_says_what_is_known(arguments, words, file, tmp_path):
    arguments = [file if argument == "FILE" else argument for argument in arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = run_cli(*arguments)
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    domain = Int", "    1 / 0\n    domain = Int", ["line 13", "1 / 0", "ZeroDivision"]),
        ("(u)(x) + jnp.pi**2", "(u)(x) + missing * jnp.pi", ["line 10", "in residual", "NameErr"]),
        ("(0.0, 1.0)", "(0.0, 1.0", ["line 13", "SyntaxError"]),
        ("(0.0, 1.0)", "(1.0, 0.0)", ["line 13", "`lower` = 1.0"]),
        ("def problem(", "def other(", ["does not define `problem`"]),
    ],
    ids=["raises", "residual", "syntax", "bad-domain", "no-problem"],
)
def test_the_users_own_line_is_shown(tmp_path, old, new, words):
    path = changed_file(tmp_path, old, new)
    result = run_cli("solve", path, "--steps", 1, "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr
    assert "pinn_ngd/" not in result.stderr


def test_a_fault_of_ours_keeps_its_traceback(file, monkeypatch):
    def fault(*_, **__):
        raise RuntimeError("a fault")

    monkeypatch.setattr(pinn_ngd.experiments, "run_problem", fault)
    assert isinstance(run_cli("solve", file).exception, RuntimeError)


def test_failed_training_exits_with_1(tmp_path):
    fragile = changed_file(tmp_path, "laplacian(u)(x)", "jnp.log(u(x) + 5.0)")
    huge = ("--optimizer", "adam", "--set", "optimizer.rate=1e3")
    result = run_cli("solve", fragile, *huge, "--steps", 5, "--out", tmp_path / "out")
    assert result.exit_code == 1, result.stderr
    assert "not finite" in result.stdout
    assert (tmp_path / "out" / "solution.png").is_file()


def test_interrupted_exits_with_130(file, monkeypatch, solved):
    result = json.loads((solved[1] / "result.json").read_text())
    result |= {"status": "interrupted", "message": "interrupted", "folder": "here"}
    monkeypatch.setattr(pinn_ngd.experiments, "run_problem", lambda *_, **__: result)
    answer = run_cli("solve", file)
    assert answer.exit_code == 130
    assert "here/" in answer.stdout


@pytest.mark.slow
def test_compare(file, tmp_path):
    arguments = ("compare", file, "--optimizers", "adam,gd", "--seeds", 2, "--steps", 50)
    result = run_cli(*arguments, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    for name in ("adam", "gd"):
        assert re.search(rf"{name} .*0 of 2 .* 50 ", result.stdout)
    assert "[4/4] gd, seed 1" in result.stderr
    summary = json.loads((tmp_path / "compare.json").read_text())
    assert [row["seeds"] for row in summary["rows"]] == [2, 2]
    assert len({run["relative_l2"] for run in summary["runs"]}) == 4
    for name in ("compare.md", "error-vs-seconds.png", "error-vs-steps.pdf", "gd-1/result.json"):
        assert (tmp_path / name).is_file()


def test_a_table_in_a_pipe_is_whole(file, tmp_path):
    out = tmp_path / "a folder with a long name of its own"
    label = "adam:rate=0.00125:average=0.5"
    arguments = ("compare", file, "--optimizers", label, "--seeds", 1, "--steps", 50, "--out", out)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if line.strip().startswith(label + " "))
    assert re.search(r"(\d\.\de[+-]\d\d +){3}0 of 1 +50 ", row)
    assert "…" not in result.stdout
    assert f"{label}: rate=0.00125, average=0.5" in result.stdout


def test_settings_reach_the_metric(file, tmp_path):
    arguments = ("--optimizer", "wngd", "--set", "floor=2", "--set", "metric.unbalanced=1")
    result = run_cli("solve", file, *arguments, "--steps", 1, "--out", tmp_path / "floor")
    assert result.exit_code == 0, result.stderr
    settings = json.loads((tmp_path / "floor" / "config.json").read_text())["settings"]
    assert settings["optimizer_settings"]["metric.floor"] == 2.0
    assert settings["optimizer_settings"]["metric.unbalanced"] == 1.0
    text = json.dumps(settings["resolved_optimizer"])
    assert '"floor": 2.0' in text or "floor=2.0" in text


def test_check_takes_settings_of_a_metric(file):
    result = run_cli("check", file, "--metric", "wasserstein", "--set", "floor=-1")
    assert result.exit_code == 2
    assert "`floor` is -1.0" in result.stderr


def test_list_names_everything():
    result = run_cli("list")
    assert result.exit_code == 0
    for name in (*list_problems(), *optimizers.names(), *metrics.names(), *solver_names()):
        assert re.search(rf"^ +{name} +\S", result.stdout, re.MULTILINE)


def test_list_shows_the_parts_that_are_asked_for():
    result = run_cli("list", "solvers", "figures")
    assert result.exit_code == 0
    assert re.search(r"^ +lsmr +\S", result.stdout, re.MULTILINE)
    assert re.search(r"^ +tngd-bits +\S", result.stdout, re.MULTILINE)
    assert "engd-tr " not in result.stdout
    wrong = run_cli("list", "optimizer")
    assert wrong.exit_code == 2
    assert "Did you mean 'optimizers'?" in wrong.stderr


def test_show_tells_what_a_problem_is(file):
    result = run_cli("show", file, "--set", "width=5")
    assert result.exit_code == 0, result.stderr
    for words in ("width=5, points=6, name='tiny', rate=1.0", "MLP, arrays of 5x1, 5, 1x5, 1",
                  "parameters", "16", "adam with rate=0.001", "0.5 s of training",
                  "relative_l2"):  # fmt: skip
        assert words in result.stdout
    assert re.search(r"residual +GaussLegendre on Interval, 6 points, weight 1.0", result.stdout)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("engd-tr", ["acceptance", "0.1; a number at least 0 and below 1", "Achieving High"]),
        ("tngd", ["average", "(optimizer)"]),
        ("wasserstein", ["'check'; one of 'check', 'project', 'ignore'", "(metric)"]),
        ("h1", ["order", "1.0; a number"]),
    ],
)
def test_show_tells_the_settings_of_a_name(name, words):
    result = run_cli("show", name)
    assert result.exit_code == 0, result.stderr
    for word in words:
        assert word in result.stdout


def test_show_leaves_out_what_a_problem_has_not():
    result = run_cli("show", "die", "--set", "faces=3", "--set", "throws=20")
    assert result.exit_code == 0, result.stderr
    assert "Distribution, arrays of 2" in result.stdout
    for words in ("domain", "network", "exact solution", "points", "terms"):
        assert not re.search(rf"^ *{words}\b", result.stdout, re.MULTILINE), words


def test_show_lists_titles_of_articles_and_not_of_their_books():
    assert "booktitle" in optimizers.citation("engd")
    result = run_cli("show", "engd")
    assert result.exit_code == 0, result.stderr
    assert "Proceedings of" not in result.stdout


def test_show_knows_no_other_name():
    result = run_cli("show", "engd-trr")
    assert result.exit_code == 2
    assert "unknown problem, optimizer or metric" in result.stderr
    assert "Did you mean 'engd-tr'?" in result.stderr


def test_cite():
    result = run_cli("cite", "engd-tr")
    assert result.exit_code == 0
    assert result.stdout == optimizers.citation("engd-tr") + "\n"


@pytest.mark.parametrize("command", ["solve", "compare", "list", "show", "figures", "cite"])
def test_help_has_an_example(command):
    result = run_cli(command, "--help")
    assert result.exit_code == 0
    assert f"Example:  pinn-ngd {command}" in result.stdout
    assert "bool" not in result.stdout.lower()  # a flag takes no value


def test_assign_sends_each_key_to_its_owner():
    known = {"problem": {"width": 3, "scale": 0.1}, "optimizer": {"scale": 1.0, "form": "auto"}}
    pairs = ["width=5", "problem.scale=2", "optimizer.scale=0.5", "form=dual"]
    chosen = assign(pairs, known)
    assert chosen == {
        "problem": {"width": 5, "scale": 2.0},
        "optimizer": {"scale": 0.5, "form": "dual"},
    }
    assert isinstance(chosen["problem"]["scale"], float)
    assert assign(["form=(1, 2)"], known)["optimizer"] == {"form": (1, 2)}
    with pytest.raises(ValueError, match=r"problem\.scale"):
        assign(["scale=2"], known)


def test_a_command_computes_with_one_blas_thread(file, monkeypatch):
    counts = []

    def check(*_, **__):
        info = threadpoolctl.threadpool_info()
        counts.extend(library["num_threads"] for library in info if library["user_api"] == "blas")
        return []

    monkeypatch.setattr(pinn_ngd.experiments, "check_problem", check)
    assert run_cli("check", file).exit_code == 0
    assert set(counts) == {1}


def test_scores_of_any_name_reach_table_files_and_pictures(tmp_path):
    own = "evaluation=None, scores=lambda m: {'peak value': float(m(jnp.asarray([0.5])))}, "
    file = changed_file(tmp_path, "evaluation=GaussLegendre(domain, 12).quadrature(), ", own)
    out = tmp_path / "run"
    result = run_cli("solve", file, "--steps", 2, "--out", out)
    assert result.exit_code == 0, result.stderr
    written = json.loads((out / "result.json").read_text())
    assert written["scores"] == ["peak value"]
    assert f"{written['peak value']:.6g}" in result.stdout
    assert "relative L2 error" in result.stdout  # the points come from the domain
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert history[-1]["peak value"] == written["peak value"]
    panels = pinn_ngd.experiments.plotting.plot_history(history).axes
    assert "scores" in [ax.get_ylabel() for ax in panels]


@pytest.mark.slow
def test_what_a_warning_cures_can_be_said_on_the_command_line(tmp_path):
    """Normalized inputs, bounds of single leaves, and the name of a metric in quotes."""
    file = changed_file(tmp_path, "Interval(0.0, 1.0)", "Interval(0.0, 1000.0)")
    wngd = ("solve", file, "--normalize", "--optimizer", "wngd", "--steps", 1)
    wngd = (*wngd, "--set", "metric='euclidean'")
    out = tmp_path / "run"
    bounds = ("--set", "bounds={'net.layers': (-9, 9)}")
    result = run_cli(*wngd, *bounds, "--out", out)
    assert result.exit_code == 0, result.stderr
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["normalize"] is True
    assert config["network"]["text"].startswith("Normalized")
    assert pinn_ngd.load_run(out).problem.normalize
    wrong = run_cli(*wngd, "--set", "bounds={'layer': (0, 1)}", "--out", tmp_path / "wrong")
    assert wrong.exit_code == 2
    assert "'layer'; the model has net.layers[0].weight" in wrong.stderr
