"""The wave equation in one dimension: held-out losses that show where points are missing."""

from figures.recipes import one_run

make = one_run("wave-1d")
