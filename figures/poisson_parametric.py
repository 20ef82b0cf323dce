"""A parametric problem: solutions for some values of the parameter, errors for all."""

from figures.recipes import one_run

make = one_run("poisson-parametric", ("solution",), seed=100)
