"""Two classes with a curved boundary between them: natural gradients of a sparse Gaussian process.

2,000 points uniform on [-3, 3]^2, P(y = 1 | x) = 1 / (1 + exp(-3 (x_2 - 0.7 x_1^2 + 1.5))), of
which 1,600 are for training, in batches of 256; 50 inducing inputs. The best possible error is that
of the true probabilities.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
import pinn_ngd
from pinn_ngd import Shuffled, optimizers
from pinn_ngd.applications import gp


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels and the true probabilities of a one."""
    rng = np.random.default_rng(123)
    x = rng.uniform(-3, 3, size=(2000, 2))
    probability = 1 / (1 + np.exp(-3 * (x[:, 1] - 0.7 * x[:, 0] ** 2 + 1.5)))
    return x, (rng.uniform(size=2000) < probability).astype(float), probability


def start() -> gp.GPModel:
    """An RBF kernel with a length for each coordinate, inducing inputs on a grid of 10 x 5."""
    grid = np.meshgrid(np.linspace(-3, 3, 10), np.linspace(-3, 3, 5))
    inducing = np.stack(grid, axis=-1).reshape(-1, 2)
    return gp.GPModel(gp.SVGP(gp.RBF([1.0, 1.0]), inducing), gp.Bernoulli())


def main(steps: int = 1000, batch: int = 256) -> dict[str, dict[str, float]]:
    """Bound of all training data, accuracy and NLPD of the test points, and seconds."""
    x, y, probability = data()
    inputs, targets = jnp.asarray(x[1600:]), jnp.asarray(y[1600:])
    objective = gp.EvidenceLowerBound(Shuffled(x[:1600], y[:1600], batch))
    whole = gp.EvidenceLowerBound(Shuffled(x[:1600], y[:1600]))
    methods = {
        "natural gradient": optimizers.get("ngd-gp", gamma=0.1, ramp=100, rate=1e-2),
        "adam": optimizers.get("adam", rate=1e-2),
    }
    right = np.where(targets == 1, probability[1600:], 1 - probability[1600:])
    print(
        f"true probabilities: {np.mean(right > 0.5):.2%} right, NLPD {-np.mean(np.log(right)):.3f}"
    )
    found = {}
    for name, optimizer in methods.items():
        result = pinn_ngd.train(objective, start(), optimizer, steps=steps, key=123)
        model = result.model
        accuracy = np.mean((model.predictive_mean(inputs) > 0.5) == targets)
        found[name] = {
            "bound": -float(whole.loss(model, whole.batch())),
            "accuracy": float(accuracy),
            "nlpd": -float(jnp.mean(model.log_predictive(inputs, targets))),
            "seconds": result.seconds,
        }
        print(f"{name:17s}" + ", ".join(f"{k} {v:.4g}" for k, v in found[name].items()))
    return found


if __name__ == "__main__":
    main()
