"""The heat equation in one dimension and time: the solution, its error, and the run."""

from figures.recipes import one_run

make = one_run("heat-1d")
