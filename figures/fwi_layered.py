"""Full waveform inversion for layers with a fault: the velocity, and the run."""

from figures.recipes import one_run

make = one_run("fwi-layered")
