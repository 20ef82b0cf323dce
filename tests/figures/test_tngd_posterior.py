"""Langevin steps on a device: the posterior of a linear model, which is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from figures import tngd_posterior as posterior
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated

EXAMPLES, CHAINS, STEPS = 40, 600, 25


class Linear(eqx.Module):
    weights: jax.Array

    def __call__(self, x):
        return (self.weights @ x)[None]


def test_chains_sample_the_posterior_of_a_linear_model(monkeypatch):
    """With damping = prior the step is an AR(1) process: covariance T A^-1 2 / (2 - rate)."""
    monkeypatch.setattr(posterior, "DAMPING", posterior.PRIOR)
    monkeypatch.setattr(posterior, "TIME", 1e9)
    x = jax.random.normal(jax.random.key(0), (EXAMPLES, 3)) * jnp.asarray([1.0, 0.4, 0.2])
    y = x @ jnp.asarray([1.0, -2.0, 0.5]) + 0.1 * jax.random.normal(jax.random.key(1), (EXAMPLES,))
    objective = ClassificationObjective(Generated(lambda _: (x, y[:, None])), loss="squared")
    batch, temperature = Batch(x, y[:, None]), jnp.asarray(1 / EXAMPLES)
    curvature = x.T @ x / EXAMPLES + posterior.PRIOR * jnp.eye(3)

    def chain(key):
        def step(model, key):
            return posterior.langevin_step(objective, model, batch, temperature, key), None

        keys = jax.random.split(key, STEPS)
        return jax.lax.scan(step, Linear(jnp.zeros(3)), keys)[0].weights

    ends = eqx.filter_jit(jax.vmap(chain))(jax.random.split(jax.random.key(2), CHAINS))
    covariance = temperature * jnp.linalg.inv(curvature) * 2 / (2 - posterior.RATE)
    mean = jnp.linalg.solve(curvature, x.T @ y / EXAMPLES)
    deviation = jnp.sqrt(jnp.diag(covariance))
    assert jnp.all(jnp.abs(ends.mean(0) - mean) < 4.5 * deviation / CHAINS**0.5)
    found = np.cov(np.asarray(ends).T)
    scale = np.outer(deviation, deviation)
    assert np.max(np.abs(found - covariance) / scale) < 5 * (2 / CHAINS) ** 0.5
