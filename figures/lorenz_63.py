"""The invariant density of the Lorenz system, fitted by its coefficients."""

from figures.recipes import one_run

make = one_run("lorenz-63")
