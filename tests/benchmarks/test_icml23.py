"""The claims of the paper: the page says what the numbers say, and points are as many as theirs."""

import importlib
import json
import pathlib
import sys

import jax
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts import those beside them
icml23, cost_ratio = (importlib.import_module(name) for name in ("icml23", "cost_ratio"))


def shipped():
    return json.loads(icml23.RESULTS.read_text(encoding="utf-8"))


def test_the_page_is_that_of_the_numbers():
    text = icml23.PAGE.read_text(encoding="utf-8")
    assert icml23.page(text, shipped()) == text
    assert icml23.tables(shipped()) in text


def test_the_page_has_the_costs_that_were_measured():
    text = icml23.PAGE.read_text(encoding="utf-8")
    found = json.loads(cost_ratio.RESULTS.read_text(encoding="utf-8"))
    assert cost_ratio.page(text, found) == text
    assert cost_ratio.tables(found) in text


def test_every_run_belongs_to_a_case_and_has_its_steps():
    steps = {case.label: case.steps for case in icml23.CASES}
    for row in shipped():
        assert row["steps"] == steps[row["case"]]
        assert row["relative_l2"] == row["on the way"][str(row["steps"])]["relative_l2"]


def test_median_and_worst_of_the_last_errors():
    case = icml23.CASES[0]
    runs = [
        {"case": case.label, "steps": 2000, "relative_l2": e, "relative_h1": 2 * e, "seconds": 4.0}
        for e in (3e-7, 1e-7, 2e-7)
    ]
    line = icml23.tables(runs).splitlines()[2]
    assert "| 2,000 | 2.0e-07 (3.0e-07) | 4.0e-07 (6.0e-07) | 2.00 |" in line


def test_points_are_drawn_anew_and_as_many():
    case = next(case for case in icml23.CASES if case.resampled)
    fixed = icml23.load_problem(case.problem).objective
    drawn = icml23.problem_of(case).objective
    one, two = (drawn.batch(jax.random.key(seed)) for seed in (0, 1))
    for a, b, there in zip(one, two, fixed.batch(jax.random.key(0)), strict=True):
        assert a.points.shape == b.points.shape == there.points.shape
        assert not np.array_equal(a.points, b.points)
        assert float(a.weights.sum()) == pytest.approx(float(there.weights.sum()), rel=0.1)


@pytest.mark.slow
def test_a_run_has_its_steps_and_goes_down():
    case = icml23.Case("poisson-2d-icml23", "engd", 40, 1, stride=2)
    found = icml23.run(case, 0)
    errors = [look["relative_l2"] for look in found["on the way"].values()]
    assert list(found["on the way"]) == [str(4 * k) for k in range(1, 11)]
    assert errors[-1] == found["relative_l2"] < 0.1 * errors[0]
    assert found["parameters"] == 129
