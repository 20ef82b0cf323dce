"""Velocity and pressure in a lid-driven cavity without inertia, with the errors of each."""

from figures.recipes import one_run

make = one_run("stokes-cavity", ("solution", "history"), seed=100)
