"""The experiment of Nurbekyan, Lei and Yang with a network for Poisson's equation."""

from figures.recipes import comparison

METRICS = ("l2", "h1", "h1-homogeneous", "h2", "h-1", "fisher-rao", "wasserstein")
make = comparison(
    "poisson-state-metrics",
    ("engd-tr", *(f"wngd:{metric}" for metric in METRICS), "gd", "lbfgs"),
    seeds=1,
    steps=120,
    against=("seconds", "steps", "solves"),
)
