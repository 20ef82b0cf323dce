"""The picture of peers shows the runs that are there."""

import json
import pathlib

from figures import peers

FIGURES = pathlib.Path(__file__).parents[2] / "figures"


def test_the_shipped_picture_was_made_of_the_runs_that_are_there():
    made = json.loads((FIGURES / "peers.json").read_text(encoding="utf-8"))["results"]
    assert made == peers.listed(peers.shown())
