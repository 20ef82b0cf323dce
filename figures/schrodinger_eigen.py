"""The lowest states of a harmonic well, each drawn at its energy."""

from figures.recipes import one_run

make = one_run("schrodinger-eigen", ("solution",), seed=100)
