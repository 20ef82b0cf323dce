"""Test error of `tngd` by the noise of its device."""

from figures.recipes import PAPER, comparison

OPTIMIZERS = tuple(f"tngd:noise={level}" for level in (0, 0.3, 1, 3, 10))
make = comparison("classify-digits", OPTIMIZERS, seeds=5, settings={**PAPER, "time": 5.0})
