"""Test error of `tngd` by the time that its device runs."""

from figures.recipes import PAPER, comparison

OPTIMIZERS = (*(f"tngd:time={t}" for t in (0, 5, 10, 20, 50)), "ngd-woodbury")
make = comparison("classify-digits", OPTIMIZERS, seeds=5, settings=PAPER)
