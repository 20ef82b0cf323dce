"""Test error of a deep autoencoder of digits by K-FAC, EKFAC and Adam at three rates."""

from figures.recipes import comparison

OPTIMIZERS = ("kfac", "ekfac", *(f"adam:schedule=constant:rate={r}" for r in (0.001, 0.003, 0.01)))
make = comparison("autoencode-digits", OPTIMIZERS, seeds=1, steps=400)
