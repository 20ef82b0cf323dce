"""How steps grow: exponents are those of powers, and the page says what the numbers say."""

import importlib
import json
import pathlib
import sys

import equinox as eqx
import jax
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts import those beside them
growth = importlib.import_module("growth")


def test_an_exponent_is_that_of_the_upper_half():
    """Small sizes, where a step costs the same whatever its size, do not count."""
    lines = [{"points": n, "seconds": max(1.0, (n / 800) ** 2)} for n in (100, 200, 800, 1600)]
    lines += [{"points": n, "seconds": (n / 800) ** 2} for n in (3200, 6400)]
    assert growth.exponent(lines, "points", "seconds") == pytest.approx(2.0, rel=1e-12)


def test_sizes_are_about_those_that_were_asked_for():
    objective, model = growth.build(parameters=101, points=64, dimension=3)
    assert sum(rule.size for rule in objective.rules) == pytest.approx(72, abs=8)
    assert sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_array))) == 101
    cost = growth.step_cost("products", {"parameters": 101, "points": 64, "dimension": 3})
    assert cost["seconds"] > 0
    assert cost["mebibytes"] > 0


def test_the_page_is_that_of_the_numbers():
    text = growth.PAGE.read_text(encoding="utf-8")
    found = json.loads(growth.RESULTS.read_text(encoding="utf-8"))
    assert growth.with_table(text, growth.table(found)) == text
    assert growth.table(found) in text
