"""State metrics against the energy metric on Poisson's equation in two dimensions."""

from figures.recipes import comparison

METRICS = ("wngd:l2", "wngd:h1", "wngd:h-1", "wngd:fisher-rao", "wngd")
make = comparison("poisson-2d-icml23", ("engd-tr", *METRICS, "gd"), seeds=2, seconds=10.0)
