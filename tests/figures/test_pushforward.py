"""The pushforward of a step is nearest to the error for the energy natural gradient."""

import json
import pathlib

import pytest

from figures.recipes import make
from tests.pictures import is_drawn

FIGURES = pathlib.Path(__file__).parents[2] / "figures"


@pytest.mark.slow
def test_pictures_are_made_and_energy_points_at_the_error(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make(("pushforward",), out=tmp_path, quick=True, tell=lambda _: None)
    assert is_drawn(tmp_path / "pushforward.png")
    assert is_drawn(tmp_path / "pushforward-training.png")
    found = json.loads((tmp_path / "pushforward.json").read_text())["results"]["cosines"]
    assert found["natural gradient, energy"] > 0.999
    assert max(found["gradient"], found["natural gradient, H1"]) < 0.95


def test_the_shipped_training_says_what_its_page_says():
    """Only the energy natural gradient solves the equation."""
    found = json.loads((FIGURES / "pushforward.json").read_text())["results"]["last errors"]
    assert found["natural gradient, energy"] < 1e-5
    assert min(found["gradient"], found["natural gradient, H1"]) > 0.1
