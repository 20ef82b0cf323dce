"""MNIST-1D: generated signals of 40 values in ten classes, by thermodynamic natural gradient.

4,000 examples to learn from and 1,000 to test on, made by the package mnist1d
(`pip install 'pinn-ngd[data]'`) without a download. A network of two one-dimensional convolutions
in single precision, batches of 64.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from pinn_ngd import Problem
from pinn_ngd.applications.classification import classification_problem
from pinn_ngd.applications.data import mnist1d


class SignalNet(eqx.Module):
    """Signal (40,) -> logits (10,)."""

    first: eqx.nn.Conv1d
    second: eqx.nn.Conv1d
    out: eqx.nn.Linear

    def __init__(self, key, channels, dtype):
        one, two, three = jax.random.split(key, 3)
        self.first = eqx.nn.Conv1d(1, channels, 5, 2, 2, key=one, dtype=dtype)
        self.second = eqx.nn.Conv1d(channels, channels, 3, 2, 1, key=two, dtype=dtype)
        self.out = eqx.nn.Linear(10 * channels, 10, key=three, dtype=dtype)

    def __call__(self, x):
        x = jnp.tanh(self.second(jnp.tanh(self.first(x[None]))))
        return self.out(x.reshape(-1))


def problem(
    *, batch_size: int = 64, curvature: str = "ggn", channels: int = 24, seed: int = 42,
    steps: int = 1240,
) -> Problem:  # fmt: skip
    """`seed` is that of the generator of the signals."""
    return classification_problem(
        "classify-mnist1d",
        "MNIST-1D: generated signals in ten classes, one-dimensional convolutions",
        mnist1d(seed=seed),
        lambda key, dtype: SignalNet(key, channels, dtype),
        batch_size=batch_size,
        curvature=curvature,
        optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        steps=steps,
    )
