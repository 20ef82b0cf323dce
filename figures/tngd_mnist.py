"""The published setting of `tngd` on MNIST, with and without noise, beside Adam's."""

from figures.recipes import PAPER, learning

OPTIMIZERS = (
    "tngd",
    *(f"tngd:temperature={level}" for level in (1e-6, 1e-4, 1e-2)),
    "ngd-woodbury",
    "adam:rate=0.001",
)
SETTINGS = {**PAPER, "rate": 0.01, "time": 50.0}
# As many steps of 64 examples as ten epochs of 10,000 images have.
make = learning("classify-mnist-5k", OPTIMIZERS, seeds=5, steps=1570, settings=SETTINGS)
