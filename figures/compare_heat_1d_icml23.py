"""Three optimizers on the heat equation of the energy-natural-gradient paper."""

from figures.recipes import comparison

make = comparison("heat-1d-icml23", ("engd-tr", "engd", "adam"), seeds=3, seconds=10.0)
