"""A deep autoencoder of handwritten digits, 64-128-64-8-64-128-64 with tanh, as a regression.

min_theta 1/n sum_i 1/2 |net(x_i) - x_i|^2 over 1,400 pictures of 8 x 8 pixels in [0, 1], which pass
through eight numbers; 397 others are held out (scikit-learn's digits, single precision). Deep
autoencoders with a bottleneck are the test with which second-order optimizers of deep networks are
usually shown. Needs `pip install 'pinn-ngd[data]'`; nothing is downloaded.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import ClassificationObjective, Problem, Shuffled
from pinn_ngd.applications.data import digits
from pinn_ngd.models import MLP

SIZES = (64, 128, 64, 8, 64, 128, 64)


def problem(*, batch_size: int = 200, seed: int = 0, steps: int = 400) -> Problem:
    """`seed` draws the split; the network and the batches come from the run's own."""
    data = digits(seed=seed)
    inputs, test = (
        np.asarray(x, np.float32).reshape(len(x), -1) for x in (data.inputs, data.test_inputs)
    )

    @eqx.filter_jit
    def mean_square(model, x):
        return jnp.mean((jax.vmap(model)(x) - x) ** 2)

    def scores(model):
        """Mean squared error a pixel, of the training pictures and of the others."""
        return {
            "train_mse": float(mean_square(model, inputs)),
            "test_mse": float(mean_square(model, test)),
        }

    return Problem(
        name="autoencode-digits",
        description="deep autoencoder of handwritten digits, through eight numbers",
        objective=ClassificationObjective(Shuffled(inputs, inputs, batch_size), loss="squared"),
        model=lambda key: MLP(SIZES, key=key, init="glorot", dtype=np.float32),
        optimizer="kfac",
        seconds=120.0,
        steps=steps,
        scores=scores,
        compared="test_mse",
    )
