"""One member of every family, away from the standard one, and values that it may take."""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd.families import (
    Categorical,
    Exponential,
    Gaussian,
    GaussianKnownVariance,
    Independent,
    JointCoordinates,
    MultivariateGaussian,
    NaiveBayes,
    Poisson,
)

FAMILIES = {
    "categorical": Categorical(4),
    "poisson": Poisson(),
    "known-variance": GaussianKnownVariance(2.0),
    "gaussian": Gaussian(),
    "multivariate": MultivariateGaussian(2),
    "exponential": Exponential(),
    "independent": Independent(Gaussian(), 2),
    "naive-bayes": NaiveBayes(3, (Categorical(3), Gaussian())),
}


def member(name):
    """Natural coordinates: the standard ones and fixed small numbers."""
    leaves, treedef = jax.tree.flatten(FAMILIES[name].standard())
    flat = np.concatenate([np.ravel(leaf) for leaf in leaves])
    moved = flat + 0.2 * np.sin(1.0 + np.arange(flat.size))
    parts = np.split(moved, np.cumsum([leaf.size for leaf in leaves])[:-1])
    shaped = [jnp.asarray(p.reshape(x.shape)) for p, x in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(treedef, shaped)


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def joint(classes, features, seed=0, scale=0.7):
    """A NaiveBayes family of categorical features and random natural coordinates in it."""
    family = NaiveBayes(classes, tuple(Categorical(m) for m in features))
    rng = np.random.default_rng(seed)
    tables = tuple(jnp.asarray(rng.normal(0, scale, (classes, m - 1))) for m in features)
    return family, JointCoordinates(jnp.asarray(rng.normal(0, scale, classes - 1)), tables)
