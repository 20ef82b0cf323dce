"""Multinomial logistic regression on features that are normal given the class.

p(y | x) is the conditional of a naive Bayes family: five classes, two features with a mean and a
variance of their own in every class, and one in the plane with a mean and a covariance. Its
logarithm is quadratic in the features, with 49 parameters. Fresh examples from the joint
distribution come in batches. Measured is the mean over 20,000 other inputs of
KL(p(y | x) | model) in nats; an efficient estimate from N examples has 20 / N, 2.0e-5
with the defaults. `pinn-ngd solve mlr-gaussian --seed 0` ends at 7.3e-5 after 20 s of training on
one core of a busy two-core machine: rates are those that survive the first batches, whose metric is
still far from that of the truth.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import ClassificationObjective, Generated, Problem
from pinn_ngd.families import (
    Gaussian,
    GenerativeClassifier,
    JointCoordinates,
    MultivariateGaussian,
    NaiveBayes,
)

CLASSES, HELD_OUT = 5, 20_000


def truth(spread: float, seed: int) -> GenerativeClassifier:
    """Means N(0, spread^2), variances between 1/2 and 2, class logarithms N(0, 1/4)."""
    rng = np.random.default_rng(seed)
    plane = MultivariateGaussian(2)

    def of_line():
        means, variances = rng.normal(0.0, spread, CLASSES), rng.uniform(0.5, 2.0, CLASSES)
        return jnp.asarray(np.stack([means / variances, -0.5 / variances], axis=1))

    def of_plane():
        root = rng.normal(0.0, 0.5, (2, 2)) + np.eye(2)
        mean = jnp.asarray(rng.normal(0.0, spread, 2))
        return plane.natural_of(mean, jnp.asarray(root @ root.T))

    features = (of_line(), of_line(), jnp.stack([of_plane() for _ in range(CLASSES)]))
    natural = JointCoordinates(jnp.asarray(rng.normal(0.0, 0.5, CLASSES - 1)), features)
    return GenerativeClassifier(NaiveBayes(CLASSES, (Gaussian(), Gaussian(), plane)), natural)


def problem(
    *, spread: float = 1.0, batch_size: int = 250, steps: int = 4000, seed: int = 0
) -> Problem:
    """`seed` draws the true distribution; the examples come from the run's own."""
    exact = truth(spread, seed)

    @eqx.filter_jit
    def examples(key):
        return exact.family.sample(exact.natural, key, batch_size)

    x, _ = exact.family.sample(exact.natural, jax.random.key(10_000 + seed), HELD_OUT)
    weights = jnp.full(HELD_OUT, 1 / HELD_OUT)
    divergence = eqx.filter_jit(exact.divergence)
    return Problem(
        name="mlr-gaussian",
        description="multinomial logistic regression on features that are normal given the class",
        objective=ClassificationObjective(Generated(examples)),
        model=GenerativeClassifier.standard(exact.family),
        optimizer="dsngd",
        optimizer_settings={"rate": 0.05, "decay_steps": 100},
        seconds=60.0,
        steps=steps,
        scores=lambda model: {"divergence": float(divergence(model, x, weights))},
        compared="divergence",
    )
