"""A deep Ritz energy in one dimension: the solution, its error, and the run."""

from figures.recipes import one_run

make = one_run("ritz-1d")
