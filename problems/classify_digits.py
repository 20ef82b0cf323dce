"""Handwritten digits of 8 x 8 pixels from scikit-learn, by thermodynamic natural gradient.

1,400 examples to learn from and 397 to test on, a small convolution network in single precision,
batches of 64. Needs `pip install 'pinn-ngd[data]'`; nothing is downloaded.
"""

from pinn_ngd import Problem
from pinn_ngd.applications.classification import classification_problem
from pinn_ngd.applications.data import digits
from pinn_ngd.models import CNN


def problem(
    *, batch_size: int = 64, curvature: str = "ggn", channels: int = 8, width: int = 32,
    seed: int = 0, steps: int = 210,
) -> Problem:  # fmt: skip
    """`seed` draws the split; the network and the batches come from the run's own."""
    return classification_problem(
        "classify-digits",
        "handwritten digits of 8 x 8 pixels, small convolution network",
        digits(seed=seed),
        lambda key, dtype: CNN(
            (1, 8, 8), 10, channels=channels, kernel=3, stride=1, width=width, key=key, dtype=dtype
        ),
        batch_size=batch_size,
        curvature=curvature,
        optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        steps=steps,
    )  # fmt: skip
