"""Classical methods of the results page: they solve the equations that the problem files state."""

import dataclasses
import importlib
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
references = importlib.import_module("references")


def test_a_cost_is_that_of_one_solution(monkeypatch):
    """Burgers' equation with so much viscosity that few waves and steps are enough."""
    smooth = references.Equation(
        symbol=lambda k: -0.1 * (np.pi * k) ** 2 + 0j,
        nonlinear=lambda u, slope: -u * slope(u),
        start=lambda k: np.where(k == 1, -0.5j, 0.0),
        waves=24, times=8, steps=16, rank=1e-9,
    )  # fmt: skip
    monkeypatch.setattr(references, "EQUATIONS", {"burgers": smooth})
    found = references.cost("burgers")
    assert found["steps"] == 128
    assert found["relative_l2"] < 1e-6
    coarse = dataclasses.replace(smooth, steps=8)
    monkeypatch.setattr(references, "EQUATIONS", {"burgers": coarse})
    assert references.cost("burgers")["relative_l2"] == pytest.approx(
        16 * found["relative_l2"], rel=0.5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "error"), [("poisson-2d", 1e-10), ("l-shape", 1e-6), ("disk-poisson-nonlinear", 1e-6)]
)
def test_finite_elements_find_the_solution_of_the_problem(name, error):
    pytest.importorskip("skfem")
    elements = importlib.import_module("finite_elements")
    _, build = elements.METHODS[name]
    basis, exact, source, cubic = build()
    u = elements.solved(basis, exact, source, cubic)
    assert elements.relative_error(basis, u, exact) < error
