"""The picture of records shows the numbers of the suite."""

import json
import pathlib

import pytest

from figures import records

FIGURES = pathlib.Path(__file__).parents[2] / "figures"


def test_the_shipped_picture_was_made_of_the_runs_that_are_there():
    made = json.loads((FIGURES / "records.json").read_text(encoding="utf-8"))["results"]
    found = [row._asdict() for row in records.rows()]
    assert [row.pop("label") for row in made] == [row.pop("label") for row in found]
    for before, now in zip(made, found, strict=True):
        known = {name: value for name, value in now.items() if value is not None}
        assert {name: before[name] for name in known} == pytest.approx(known, rel=1e-6)
