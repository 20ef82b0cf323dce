"""Two classes with a curved boundary between them, by a sparse Gaussian process.

2,000 points uniform on [-3, 3]^2, P(y = 1 | x) = 1 / (1 + exp(-3 (x_2 - 0.7 x_1^2 + 1.5))): 1,600
to learn from in batches of 256, and 400 to test on, drawn with `seed`. RBF kernel with a length for
each coordinate, Bernoulli likelihood, 50 inducing inputs that start on a grid. The labels are
random, so that even the true probabilities are wrong in some places.
"""

import numpy as np

from pinn_ngd import Problem, Shuffled
from pinn_ngd.applications import gp


def truth(x: np.ndarray) -> np.ndarray:
    """The probability of a one at points (n, 2)."""
    return 1 / (1 + np.exp(-3 * (x[:, 1] - 0.7 * x[:, 0] ** 2 + 1.5)))


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All 2,000 points and their labels; the last 400 are for the test."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=(2000, 2))
    return x, (rng.uniform(size=2000) < truth(x)).astype(float)


def start(whitened: bool) -> gp.GPModel:
    grid = np.meshgrid(np.linspace(-3, 3, 10), np.linspace(-3, 3, 5))
    inducing = np.stack(grid, axis=-1).reshape(-1, 2)
    return gp.GPModel(gp.SVGP(gp.RBF([1.0, 1.0]), inducing, whitened=whitened), gp.Bernoulli())


def problem(
    *, batch_size: int = 256, whitened: bool = True, seed: int = 123, steps: int = 1000
) -> Problem:
    """`seed` draws the data; the batches come from the run's own."""
    x, y = data(seed)
    objective = gp.EvidenceLowerBound(Shuffled(x[:1600], y[:1600], batch_size))
    return Problem(
        name="banana-gp",
        description="two classes with a curved boundary, sparse Gaussian process",
        objective=objective,
        model=start(whitened),
        optimizer="ngd-gp",
        optimizer_settings={"gamma": 0.1, "ramp": 100},
        steps=steps,
        seconds=120.0,
        scores=gp.predictive_scores(x[:1600], y[:1600], x[1600:], y[1600:]),
        compared="test_nlpd",
        picture=lambda model: gp.plot_classes(model, x[1600:], y[1600:], truth=truth),
    )
