"""Several devices and processes do what one device does, to rounding."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from pinn_ngd import (
    ClassificationObjective,
    Energy,
    EnergyObjective,
    FiniteElements,
    Interval,
    ResidualObjective,
    Shuffled,
    WeakResidual,
    load_problem,
    optimizers,
)
from pinn_ngd.experiments import run_problem
from pinn_ngd.linalg.qlp import REFINEMENTS
from pinn_ngd.storage.checkpoint import load_model
from pinn_ngd.training.devices import check_shared, mesh_of
from pinn_ngd.training.processes import check_processes
from tests import several
from tests.several import found
from tests.tiny import FILE, run_cli, tiny

RUNS = Path(several.__file__).with_name("several_runs.py")


def agree(one, other):
    for name in one.keys() - {"triangle", "basis", "upper", "gram"}:
        assert one[name][-1] < one[name][0]
        np.testing.assert_allclose(other[name], one[name], rtol=1e-8, err_msg=name)


def agree_on_factors(one, other):
    uppers = [
        np.sign(np.diag(part["triangle"]))[:, None] * part["triangle"] for part in (one, other)
    ]
    np.testing.assert_allclose(*uppers, atol=1e-13, rtol=0)
    np.testing.assert_allclose(one["gram"], other["gram"], atol=1e-14, rtol=0)
    product = other["basis"] @ other["upper"]
    np.testing.assert_allclose(product, one["basis"] @ one["upper"], atol=1e-14, rtol=0)
    np.testing.assert_allclose(other["basis"].T @ other["basis"], np.eye(12), atol=1e-13, rtol=0)


@pytest.mark.slow
def test_two_devices_do_what_one_does(tmp_path):
    everywhere, one = found(tmp_path, "factors", "trained", devices=2)
    agree_on_factors(one, everywhere)
    agree(one, everywhere)
    # TSQR keeps what the Gram matrix has lost in rounding.
    assert np.linalg.svd(everywhere["triangle"])[1][-1] == pytest.approx(1e-12, rel=1e-3)
    assert abs(np.linalg.eigvalsh(everywhere["gram"])[0]) > 1e-20


@pytest.mark.slow
def test_four_devices_move_what_the_formulas_say(tmp_path):
    """docs/several-devices.md: no operation moves a number for every row, but for the wide one."""
    everywhere, one = found(tmp_path, "factors", "collectives", devices=4)
    agree_on_factors(one, everywhere)
    moved = {name: list(sizes) for name, sizes in everywhere.items() if " all-" in name}
    n, m = 60, 12  # of the matrices there
    assert moved["triangle all-gather"] == 2 * [2 * m**2]  # two rounds of pairs
    assert moved["gram all-reduce"] == moved["dual all-reduce"] == [m**2]
    assert moved["dual all-to-all"] == [m * n // 4]
    rows, columns = 9 + 12 + 3, 4 * 17  # of a wide step, filled up to multiples of four
    assert moved["wide all-to-all"] == [rows * columns // 4]
    assert max(moved["wide all-reduce"]) == rows**2
    assert max(moved["wide all-gather"]) < rows * columns / 4
    p, candidates = 17, 10
    assert moved["step all-gather"] == 2 * [2 * p**2]
    sums = sorted(moved["step all-reduce"], reverse=True)
    assert sums[0] == p**2  # the Gram matrix of the other branch
    assert sums[1] <= candidates * p  # A^T times the remainders of all candidates
    # The gradient, refinement of the step and of its corrections, losses and reductions.
    assert sum(sums[2:]) <= (1 + 2 * REFINEMENTS) * p + 10 * candidates
    assert {name.split()[1] for name in moved if "step" in name} == {"all-gather", "all-reduce"}


def agree_on_examples(one, other):
    """Losses and parameters of eight steps of SP-NGD."""
    assert one["natural"][-1] < 0.7 * one["natural"][0]
    for name in ("natural", "parameters"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_examples_and_decompositions_are_shared_by_two_devices(tmp_path):
    agree_on_examples(*reversed(found(tmp_path, "natural", devices=2)))


@pytest.mark.slow
def test_every_natural_gradient_of_a_batch_is_the_same_on_two_devices_that_halve_the_work(tmp_path):
    everywhere, one = found(tmp_path / "steps", "classified", devices=2)
    assert set(one) == set(several.NATURAL)
    for name, parameters in one.items():
        np.testing.assert_allclose(
            everywhere[name], parameters, rtol=1e-12, atol=1e-12, err_msg=name
        )
    half, whole = found(tmp_path / "work", "work", devices=2)
    for name, operations in whole.items():
        assert 0.5 <= half[name] / operations < 0.55, name


@pytest.mark.slow
def test_methods_of_products_run_on_two_devices(tmp_path):
    """Many conjugate-gradient iterations on an ill-conditioned matrix enlarge rounding errors."""
    everywhere, one = found(tmp_path, "by-products", devices=2)
    for name, rtol in {"nncg": 1e-9, "hessian-free": 1e-4}.items():
        assert one[name][-1] < one[name][0]
        np.testing.assert_allclose(everywhere[name], one[name], rtol=rtol, err_msg=name)


@pytest.mark.slow
def test_shots_are_shared_by_two_devices(tmp_path):
    """Three shots, so that one of two devices repeats the last one."""
    everywhere, one = found(tmp_path, "shots", devices=2)
    for name in ("waves", "gradient"):
        size = np.abs(one[name]).max()
        np.testing.assert_allclose(everywhere[name], one[name], rtol=0, atol=1e-12 * size)
    assert one["loss"][-1] < 0.9 * one["loss"][0]
    np.testing.assert_allclose(everywhere["loss"], one["loss"], rtol=1e-10)


@pytest.mark.slow
def test_examples_are_shared_by_four_devices_that_move_what_the_formulas_say(tmp_path):
    parts = "natural", "natural-collectives"
    everywhere, one = found(tmp_path, *parts, devices=4)
    agree_on_examples(one, everywhere)
    # Factors (6, 6), (3, 3), (7, 7), (3, 3), and six units: two rounds of four and one device.
    sizes = {n: n * (n + 1) // 2 for n in (2, 3, 6, 7)}
    largest, least = sizes[7], sizes[3]
    assert sorted(everywhere["natural reduce-scatter"]) == [least, largest]
    gathered = sorted(everywhere["natural all-gather"])
    assert gathered == sorted([4 * largest, 4 * (7 + 49 + 1), 4 * least, 4 * (3 + 9 + 1)])
    parameters = one["parameters"].size
    assert sum(everywhere["natural all-reduce"]) <= parameters + 1


@pytest.mark.slow
def test_two_processes_share_examples(tmp_path):
    (processes,) = found(tmp_path, "natural", processes=2)
    agree_on_examples(several.natural(1), processes)


@pytest.mark.slow
def test_two_processes_do_what_two_devices_do(tmp_path):
    devices, one = found(tmp_path / "devices", "stepped", devices=2)
    agree(one, devices)
    (processes,) = found(tmp_path / "processes", "factors", "stepped", "grown", processes=2)
    agree(devices, {name: processes[name] for name in devices})
    alone = several.grown(1)
    assert alone["points"][-1] > alone["points"][0]
    np.testing.assert_array_equal(processes["points"], alone["points"])
    np.testing.assert_allclose(processes["grown"], alone["grown"], rtol=1e-8)
    (both,) = found(tmp_path / "both", "factors", devices=2, processes=2)
    agree_on_factors(processes, both)


@pytest.mark.slow
def test_two_processes_share_a_run_and_outlive_one_another(tmp_path):
    """They refuse to differ, leave one folder, resume, and end whole where one of them dies."""
    assert several.finish(several.start(RUNS, tmp_path, 1, processes=2)) == [0, 3], several.logs(
        tmp_path
    )
    first, other = (json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in (0, 1))
    for told in (first, other):
        assert "steps is 10 in the first and 11 in number 1" in told["steps"]
        assert "precision is float64 in the first and float32" in told["precision"]
        assert told["first"] == first["first"]
        assert told["resumed"] == first["resumed"] < first["first"]
    alone = run_problem(tiny(), "adam", out=tmp_path / "alone", steps=300, pictures=False)
    assert alone["loss"] == pytest.approx(first["resumed"], rel=1e-10)
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps))
    assert steps[-1] == 300
    # One of two has died: the other says so, and what it had written is whole.
    assert first["status"] == "interrupted"
    assert "another process of this run has ended" in first["message"]
    load_model(tmp_path / "lost.eqx", like=tiny().model(jax.random.key(0)))


@pytest.mark.slow
def test_the_command_line_runs_two_processes_with_two_devices_each(tmp_path):
    """As under SLURM, whose variables JAX reads."""
    (tmp_path / "tiny.py").write_text(FILE)
    words = ["solve", tmp_path / "tiny.py", "--devices", 2, "--distributed", "--steps", 40,
             "--set", "points=7", "--out", tmp_path / "run"]  # fmt: skip
    started = several.start_step(tmp_path, words, 2)
    assert several.finish(started) == [0, 0], several.logs(tmp_path)
    said = [(tmp_path / f"log-{rank}.txt").read_text() for rank in (0, 1)]
    assert "reached the budget of 40 steps" in said[0]
    assert "budget" not in said[1]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["environment"]["devices"] == 4
    alone = run_problem(
        tiny(points=7), "adam", out=tmp_path / "alone", steps=40, pictures=False
    )  # fmt: skip
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["loss"] == pytest.approx(alone["loss"], rel=1e-10)


def two_on_one():
    return Mesh(np.repeat(jax.devices()[:1], 2), ("rows",))


def of_examples(size):
    return ClassificationObjective(Shuffled(np.ones((4, 1)), np.arange(4) % 2, size))


def one_shot():
    return load_problem("fwi-camembert", cells=13, shots=1, duration=0.1, absorbing=2).objective


def test_what_cannot_be_shared_is_refused():
    model, domain = tiny().model(jax.random.key(0)), Interval(0.0, 1.0)
    residuals, descent = tiny().objective, optimizers.get("adam")
    energy = EnergyObjective([Energy(lambda u, x: u(x) ** 2, residuals.rules[0])])
    weak = WeakResidual(lambda u, x: u(x), FiniteElements(domain, 4))
    cases = {
        "this EnergyObjective has none of them: train it on one device": (energy, descent),
        "2 devices and 1 parts of a RecordedWaves": (one_shot(), descent),
        "runs in Python, on one device": (residuals, optimizers.get("scipy-lm")),
        "tested with functions on all of its points": (ResidualObjective([weak]), descent),
        "this is a Sharded": (residuals, optimizers.get("engd-sub")),
        "2 devices and at most 1 points": (tiny(points=1).objective, descent),
        "takes all examples of a batch on one device": (of_examples(4), optimizers.get("engd-tr")),
        "3 examples cannot be cut into equal parts for 2": (of_examples(3), optimizers.get("kfac")),
        "cut into 1 microbatches on each of 2": (of_examples(3), optimizers.get("sp-ngd")),
    }
    for words, (objective, optimizer) in cases.items():
        with pytest.raises(ValueError, match=words):
            check_shared(objective, model, optimizer, two_on_one())
    check_shared(residuals, model, descent, two_on_one())


@pytest.mark.parametrize("mesh", [0, -1, True, 1.5, "two"])
def test_what_is_no_mesh_is_refused(mesh):
    with pytest.raises(ValueError, match="a number of devices or None"):
        mesh_of(mesh)


def test_more_devices_than_there_are_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"asks for 99 devices, and JAX sees \d"):
        mesh_of(99)
    result = run_cli("solve", "poisson-2d", "--devices", 99, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "asks for 99 devices" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_command_that_finds_no_other_processes_says_so(tmp_path, monkeypatch):
    def refuse():
        raise ValueError("coordinator_address should be defined.\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    result = run_cli("solve", "poisson-2d", "--distributed", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "srun or mpirun" in result.stderr


def test_a_mesh_without_a_process_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="no device of process 1"):
        check_processes(two_on_one())


def test_windows_are_refused_on_several_devices(tmp_path):
    problem = tiny(windows=2)
    with pytest.raises(ValueError, match="windows in time run on one device"):
        run_problem(problem, "adam", out=tmp_path / "run", steps=1, mesh=2)
    assert not (tmp_path / "run").exists()


def test_one_device_is_the_usual_program():
    assert mesh_of(1) is None
    assert mesh_of(None) is None
