"""Test error of a deep autoencoder of digits by K-FAC, EKFAC, SENG, momentum, and three Adams."""

from figures.recipes import comparison

OPTIMIZERS = (
    "kfac",
    "ekfac",
    "seng",
    "sgd:rate=0.03",
    *(f"adam:rate={r}" for r in (0.001, 0.003, 0.01)),
)
make = comparison(
    "autoencode-digits", OPTIMIZERS, seeds=5, steps=400, settings={"schedule": "constant"}
)
