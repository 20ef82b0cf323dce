"""The table of a comparison, from results alone."""

import math

from pinn_ngd.experiments import summarize

COSTS = {"steps": 2, "seconds": 1.0, "compile_seconds": 0.5, "status": "budget"}


def test_a_missing_measure_is_no_number_and_never_the_loss():
    results = [{**COSTS, "loss": 1e-9}, {**COSTS, "loss": 1e-9, "drag": 0.25}]
    row = summarize("adam", results, "drag")
    assert row is not None
    assert math.isnan(row["errors"][0])
    assert row["errors"][1] == row["min"] == 0.25
    assert row["max"] == math.inf
    assert summarize("adam", results, "loss")["max"] == 1e-9
