"""Poisson's equation in two dimensions: the solution, its error, and the run."""

from figures.recipes import one_run

make = one_run("poisson-2d")
