"""Steps and seconds to the final error of the best of some runs."""

import importlib
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts import those beside them
steps_to = importlib.import_module("steps_to")


def test_steps_and_seconds_to_the_best_of_each_seed():
    """Medians over the seeds, the worst in brackets; no number where a seed stays above."""
    found = {
        seed: {
            "adam:rate=1": [(0.9, 1, 0.1), (0.2 + seed, 100, 2.0)],
            "adam:rate=2": [(0.3 + seed, 100, 3.0)],
            "kfac": [(2.5, 1, 0.5), (0.1 + seed, 10 * (seed + 1), 1.0 + seed)],
            "seng": [(0.2 + 2 * seed, 100, 1.0)],
        }
        for seed in (0, 1)
    }
    lines = {name: cells for name, *cells in steps_to.rows(found, "adam")}
    assert lines["`kfac`"] == ["0.6 (1.1)", "15 (20)", "0.75 (1)"]
    assert lines["`seng`"] == ["1.2 (2.2)", "-", "-"]
