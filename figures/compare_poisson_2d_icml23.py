"""Seven optimizers on the 129 parameters of the energy-natural-gradient paper."""

from figures.recipes import comparison

OPTIMIZERS = ("engd-tr", "engd", "engd-w", "spring", "bfgs", "lbfgs", "adam")
make = comparison("poisson-2d-icml23", OPTIMIZERS, seeds=3, seconds=10.0)
