"""Test error of `tngd` where its device starts late, or from its last voltages."""

from figures.recipes import PAPER, comparison

OPTIMIZERS = (
    "tngd",
    "tngd:delay=0.2",
    "tngd:delay=1.0",
    "tngd:carry=True",
    "tngd:carry=True:delay=0.2",
    "tngd:carry=True:delay=1.0",
)
make = comparison("classify-digits", OPTIMIZERS, seeds=5, settings={**PAPER, "time": 5.0})
