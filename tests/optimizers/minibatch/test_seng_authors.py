"""Steps of `seng` are those of its authors' class, which is run beside it.

Its program is GPL and no part of this package. SENG_CHECKOUT names a folder with the authors'
repository (yangorwell/SENG, of which commit e33f907 was run), SENG_PYTHON the Python of an
environment of its own with PyTorch, NumPy and SciPy.
"""

import math
import os
import subprocess
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.linalg import layer_woodbury
from pinn_ngd.linalg.column_sketch import Grid, Uniform
from pinn_ngd.models import CNN
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated

EXAMPLES = 256  # theirs takes no other number
STEPS, DAMPING, RATE, MOMENTUM, STRIDE = 4, 0.5, 0.2, 0.9, 2
PYTHON, CHECKOUT = os.environ.get("SENG_PYTHON"), os.environ.get("SENG_CHECKOUT")
SCRIPT = Path(__file__).with_name("seng_steps.py")
REASON = "SENG_PYTHON and SENG_CHECKOUT name no Python with PyTorch and no checkout of the authors"
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(STEPS, EXAMPLES, 1, 8, 8))
LABELS = RNG.integers(0, 4, (STEPS, EXAMPLES))
COMMON = {"scaling": "authors", "rate": RATE, "damping": DAMPING, "schedule": "constant"}
# The hidden layer alone, with 560 parameters, has more of them than examples.
CASES = {
    "whole": {"refresh_every": 2},
    "uniform": {"refresh_every": 1, "columns": 100, "sketch": "uniform"},
    "means": {"refresh_every": 2, "implicit_above": 100, "products": "means"},
    "grid": {"refresh_every": 1, "implicit_above": 100, "products": "means", "columns": 100},
}


def network():
    return CNN((1, 8, 8), 4, channels=3, kernel=3, stride=STRIDE, width=20, key=jax.random.key(1))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("seng"), network()
    layers = (model.convolution, model.hidden, model.out)
    np.savez(
        folder / "start.npz", inputs=INPUTS, targets=LABELS, damping=DAMPING, rate=RATE,
        momentum=MOMENTUM, stride=STRIDE,
        **{f"weight{i}": x.weight for i, x in enumerate(layers)},
        **{f"bias{i}": np.ravel(x.bias) for i, x in enumerate(layers)},
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [PYTHON, SCRIPT, folder / "start.npz", folder / "out.npz", CHECKOUT],
        check=True, env=environment,
    )  # fmt: skip
    return dict(np.load(folder / "out.npz"))


def drawn_by_them(case, theirs):
    """Sketches of the entries that theirs has drawn, the outputs before the inputs."""

    def draw(name, shape, columns, key, dtype):
        del key, dtype
        assert name == case
        if name == "uniform":
            places = jnp.asarray(theirs["uniform-drawn-0"])
            return Uniform(places // shape[1], places % shape[1], math.sqrt(560 / columns))
        outputs, inputs = (jnp.asarray(theirs[f"grid-drawn-{i}"]) for i in range(2))
        return Grid(outputs, inputs, math.sqrt(560 / columns))

    return draw


@pytest.mark.slow
@pytest.mark.skipif(PYTHON is None or CHECKOUT is None, reason=REASON)
@pytest.mark.parametrize("case", CASES)
def test_every_parameter_agrees(theirs, monkeypatch, case):
    """Unsketched; with their entries; with their product of means; with both of these."""
    monkeypatch.setattr(layer_woodbury, "draw_sketch", drawn_by_them(case, theirs))
    objective, model = ClassificationObjective(Generated(lambda _: None)), network()
    optimizer = optimizers.get("seng", **COMMON, **CASES[case])
    batches = [Batch(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(INPUTS, LABELS, strict=True)]
    state, found = optimizer.init(model, objective, batches[0]), []
    step = eqx.filter_jit(optimizer.step)
    for batch in batches:
        model, state, _ = step(model, state, objective, batch, key=jax.random.key(0))
        leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
        found.append(np.concatenate([np.ravel(x) for x in leaves]))
    assert np.abs(found[-1] - found[0]).max() > 0.01
    np.testing.assert_allclose(found, theirs[case], rtol=1e-10, atol=1e-10)
