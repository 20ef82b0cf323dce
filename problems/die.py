"""A loaded die of many faces: which metric finds its probabilities in one pass over the throws.

min_theta -1/n sum_i log p_theta(x_i) for the natural coordinates theta_j = log(p_j / p_0) of a
categorical distribution, a few throws a step, every throw once (Sanchez-Lopez and Cerquides, with
single throws). The true coordinates are N(0, sigma^2): with sigma = 3 most faces are rare. Measured
is KL(truth | model) in nats; an efficient estimate from n throws has (faces - 1) / (2 n), 0.020
with the defaults. `pinn-ngd solve die --seed 0` ends at 0.018 after 6 s of training on one core of
a busy two-core machine.
"""

import jax
import numpy as np

from pinn_ngd import LikelihoodObjective, Problem
from pinn_ngd.families import Categorical, Distribution


def problem(
    *, faces: int = 200, sigma: float = 1.0, throws: int = 5000, batch_size: int = 10, seed: int = 0
) -> Problem:
    """`seed` draws the die and its throws; their order comes from the run's own."""
    family = Categorical(faces)
    rng = np.random.default_rng(seed)
    truth = jax.numpy.asarray(rng.normal(0.0, sigma, faces - 1))
    data = family.sample(truth, jax.random.key(seed), throws)
    divergence = jax.jit(family.divergence)
    return Problem(
        name="die",
        description="the probabilities of a loaded die from its throws",
        objective=LikelihoodObjective(data, batch_size),
        model=Distribution.standard(family),
        optimizer="csngd",
        optimizer_settings={"rate": 0.1, "decay_steps": 10},
        seconds=60.0,
        steps=throws // batch_size,
        scores=lambda model: {"divergence": float(divergence(truth, model.natural))},
        compared="divergence",
    )
