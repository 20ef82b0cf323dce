"""What docs/results.md says before and after its tables."""

HEAD = """# Results

**Shipped equations with the optimizer and the settings that a user gets who names none, from seeds
that no setting was chosen on**, for the seconds of `benchmarks/suite.toml`. What stands behind a
colon is asked of the problem (`pinn-ngd solve burgers-1d --set windows=6`): other coefficients,
[windows of time](evolution.md), or a layer of sine waves. Every number is the *final* error of a
run at points that it did not train on; medians, with the worst in brackets, over the seeds of the
last column. A step that is under way when the time is over is finished, which takes up to a fifth
more.

Not everything was settled before seed 200 had been seen. The networks of `poisson-100d` and
`fokker-planck-9d` were changed after runs from seeds 200 and 201, that of `multiscale-poisson`
after one from seed 200. Windows and sine waves were added, and `kuramoto-sivashinsky` was given 300
seconds in place of 120, after the same equations without them had missed their targets; how many
windows and waves was chosen on seed 0. That windows borrow time from later ones, and from which
loss on they do not, was settled after runs of `kuramoto-sivashinsky` from seed 200. `beltrami` got
more parameters, chosen on seed 0, after a run from seed 200 had missed its target. It and
`burgers-1d` of viscosity 0.01 in windows got as many seconds as their targets have after runs of
120 s from seeds 200 and up had missed them (1.7e-11 for the corrected solution of Burgers'
equation). And that a run which claims no corrected solution is judged by its network, and the
others by their corrected solutions, was settled after runs of `convection` in windows from seeds
200 to 204, of which one claimed none.

"""
EARLIER = """Runs that name no commit, from before a step of `engd-tr` walked to its damping
([design](design.md)), by their seeds"""
ERRORS = """`corrected` is the solution u - e that a run returns beside its network, where the run
claims an error for it. `estimate / error` is the least and the largest ratio of the error that the
run claims and the true one, and how many of the runs claim one. Memory is the peak of the process.
"""
WAY = "The last error measured before these seconds of training, of runs that went on longer.\n"
TARGETS = """Set before the runs, but for the time of `kuramoto-sivashinsky`, and the same with
windows or sine waves and without. The error of the network is the one last measured before the time
of the target, or that of the end of a run that was shorter. The corrected solution, which a run
returns beside its network, is known at the end only, and its estimate takes a few seconds more;
where a run claims no error for it its network is counted. Where an equation is solved in another
way, too, in windows or with sine waves, and reaches the same target, a miss says so, and nothing
more is asked. Equations at once that stand beside their windows have one or two seeds. What another
miss is due to is found by one run of three times the time, and by fitting the same network to the
solution itself, from where that run ended and in the time of the target (`python
benchmarks/limits.py`, seed 200); where that has not been done yet it says no more than "missed".
"""
PUBLISHED = """Relative L2 errors. Most of the published ones are the best of a search over
settings, at their best moment, and on other hardware; some have features that are made for the
solution, as our softplus networks are for quadratic solutions and our sine waves for a sum of
sines. Of an equation that is listed more than once the better entries are compared. What other
packages do on this machine stands in [Beside other packages](peers.md).
"""
CLASSICAL = """Where the domain is a box and the solution smooth, **a Chebyshev series is as
accurate as a plain network, in a fraction of the time**: the same equations, with a polynomial in
place of the network (`python benchmarks/spectral.py`). A network is for what is hard for these
methods: many dimensions, or one solution as a function of parameters as well. All seconds of this
section are processor seconds on one core.
"""
EVOLUTIONS = """Periodic evolutions by Fourier series in space and exponential time differencing of
fourth order, compared with twice the waves and half the time steps (`python
benchmarks/references.py --costs`); of `allen-cahn` without what becomes of the kink of its initial
value, which is known in closed form and added, in our network as in the series:
"""
ELEMENTS = """Finite elements by scikit-fem (`python benchmarks/finite_elements.py`). Its curved
triangles have degree 2, so that the disk shows no more than that: a series in polar coordinates
would be far more accurate.
"""
SOURCES = """
## Where the numbers come from

Each run is a line of `benchmarks/results/suite.json`, with its seed, budget, versions and
commit; `python benchmarks/suite.py` makes the runs and `python benchmarks/report.py` this page.
One run again: `pinn-ngd solve poisson-2d --seed 200 --seconds 20`.
"""
