"""`tngd` and `tngd-adam` against the baselines of a sign and of a clipped spectrum: a table."""

from figures.recipes import PAPER, comparison

RATES = (0.0003, 0.001, 0.003, 0.01)
OPTIMIZERS = (
    *(f"tngd-adam:beta1=0.0:beta2=0.0:rate={rate}" for rate in RATES),
    *(f"signsgd:rate={rate}" for rate in RATES),
    "tngd-adam:rate=0.003",
    "adam:rate=0.003",
    "tngd",
    "spectral-clipping:damping=1e-6",
    "sgd",
)
SETTINGS = {**PAPER, "time": 10.0}
make = comparison("classify-digits", OPTIMIZERS, seeds=5, settings=SETTINGS, against=())
