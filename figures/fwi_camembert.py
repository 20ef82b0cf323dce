"""Full waveform inversion for a disk: the velocity, and the run."""

from figures.recipes import one_run

make = one_run("fwi-camembert")
