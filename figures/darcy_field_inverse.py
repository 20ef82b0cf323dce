"""A permeability field from noisy pressures: found, true, and two standard deviations."""

from figures.recipes import one_run

make = one_run("darcy-field-inverse", ("solution",), seed=100)
