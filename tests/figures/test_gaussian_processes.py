"""Pictures of Gaussian processes: they are made, and say what their page says."""

import json
import pathlib

import pytest

from figures.recipes import make
from tests.pictures import is_drawn

FIGURES = pathlib.Path(__file__).parents[2] / "figures"
NAMES = ("gp-natural-gradients", "gp-classification", "gp-step-lengths", "gp-poisson")


@pytest.mark.slow
def test_pictures_are_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipes = [name for name in NAMES if name != "gp-classification"]  # comes with the first
    make(recipes, out=tmp_path, quick=True, tell=lambda _: None)
    assert all(is_drawn(tmp_path / f"{name}.png") for name in NAMES)


def test_shipped_pictures_show_what_the_theory_says():
    """One step of length one for Gaussian noise, from where Adam takes hundreds; error bars that
    hold for about 95 of 100 points."""
    found = {name: json.loads((FIGURES / f"{name}.json").read_text())["results"] for name in NAMES}
    regression = found["gp-natural-gradients"]
    steps = regression["to 10 nats"]
    assert steps["natural, $\\gamma = 1$"] == 1
    assert steps["Adam"] > 300
    assert regression["last gap"]["natural, $\\gamma = 1$"] < 1e-9
    for solver in ("Gaussian process", "network"):
        assert 0.9 < found["gp-poisson"][solver]["within two deviations"] < 0.99
    first = {k: v["natural"]["length"][0] for k, v in found["gp-step-lengths"].items()}
    assert first["Gaussian"] == pytest.approx(1.0)
    assert first["Poisson"] < 1.0
