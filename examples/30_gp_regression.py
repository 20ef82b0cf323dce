"""Sparse Gaussian process regression: one natural-gradient step instead of a thousand of Adam.

With Gaussian noise the best approximate posterior is known in closed form. A natural-gradient step
of length one finds it from anywhere; Adam walks.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
import pinn_ngd
from pinn_ngd import Shuffled, models, optimizers
from pinn_ngd.applications import gp


def data(size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Noisy values of a smooth function on [-3, 3]."""
    rng = np.random.default_rng(123)
    x = rng.uniform(-3, 3, size=(size, 1))
    return x, np.sin(4 * x[:, 0]) + np.cos(2 * x[:, 0]) + 0.3 * rng.normal(size=size)


def main(steps: int = 2000) -> dict[str, float]:
    """How far each method is from the best bound, in nats, and how many steps Adam takes to 10."""
    inputs, targets = data()
    inducing = np.linspace(-3, 3, 20)[:, None]
    objective = gp.EvidenceLowerBound(Shuffled(inputs, targets))
    kernel, noise = gp.RBF(0.5), 0.09
    best = gp.SGPR(kernel, jnp.asarray(inducing), *map(jnp.asarray, (inputs, targets)), noise=noise)

    def gap(model):
        return float(best.bound() + objective.loss(model, objective.batch()))

    # Kernel, noise and inducing inputs stay as they are, so that all have one optimum.
    process = gp.SVGP(models.Frozen(kernel), inducing, train_inducing=False)
    model = gp.GPModel(process, gp.GaussianNoise(models.Frozen(models.Positive(noise))))
    one = optimizers.get("ngd-gp", gamma=1.0, ramp=0, other_steps=0)
    natural = pinn_ngd.train(objective, model, one, steps=1, key=0)
    adam = optimizers.get("adam", rate=1e-2)
    losses = []
    walked = pinn_ngd.train(
        objective, model, adam, steps=steps, key=0, stride=1,
        callbacks=lambda record: losses.append(record["loss"]),
    )  # fmt: skip
    close = np.flatnonzero(np.asarray(losses) + float(best.bound()) < 10)
    found = {"start": gap(model), "one natural step": gap(natural.model), "adam": gap(walked.model)}
    for name, nats in found.items():
        print(f"{name:18s} {nats:10.3g} nats from the optimum")
    print(f"Adam is within 10 nats after {close[0] if close.size else f'more than {steps}'} steps.")
    return found | {"adam to 10 nats": float(close[0]) if close.size else float("inf")}


if __name__ == "__main__":
    main()
