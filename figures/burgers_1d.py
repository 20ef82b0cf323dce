"""Burgers' equation: the solution, its error, the estimate of it, and the run."""

from figures.recipes import one_run

make = one_run("burgers-1d")
