"""Ten steps of `kfac` are those of kfac-jax 0.0.8 in its deterministic mode.

That package does not run with every JAX that this one runs with, so it lives in an environment of
its own, such as `python -m venv E && E/bin/pip install kfac-jax==0.0.8 jax==0.7.2 jaxlib==0.7.2`,
whose Python the variable KFAC_JAX_PYTHON names.
"""

import os
import subprocess
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated

STEPS, DAMPING, RATE, MOMENTUM = 10, 0.1, 0.3, 0.9
PYTHON = os.environ.get("KFAC_JAX_PYTHON")
SCRIPT = Path(__file__).with_name("kfac_jax_steps.py")
REASON = "KFAC_JAX_PYTHON names no Python of an environment with kfac-jax 0.0.8"
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (STEPS, 12))
INPUTS = RNG.normal(size=(STEPS, 12, 4)) + np.eye(3, 4)[LABELS]


def network():
    return eqx.nn.MLP(4, 3, 5, 2, jnp.tanh, key=jax.random.key(1))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kfac-jax")
    layers = network().layers
    np.savez(
        folder / "start.npz", inputs=INPUTS, targets=LABELS, damping=DAMPING, rate=RATE,
        momentum=MOMENTUM, **{f"weight{i}": x.weight for i, x in enumerate(layers)},
        **{f"bias{i}": x.bias for i, x in enumerate(layers)},
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [PYTHON, SCRIPT, folder / "start.npz", folder / "out.npz"], check=True, env=environment
    )
    return dict(np.load(folder / "out.npz"))


@pytest.mark.slow
@pytest.mark.skipif(PYTHON is None, reason=REASON)
@pytest.mark.parametrize("kind", ["fixed", "adaptive"])
def test_every_parameter_agrees_for_ten_steps(theirs, kind):
    """With fixed rates, and with those of the quadratic model."""
    objective, model = ClassificationObjective(Generated(lambda _: None)), network()
    adaptive = kind == "adaptive"
    optimizer = optimizers.get(
        "kfac", fisher="exact", adaption="fixed", damping=DAMPING, rescale=adaptive,
        rate=1.0 if adaptive else RATE, momentum=MOMENTUM, schedule="constant", refresh_every=1,
    )  # fmt: skip
    batches = [Batch(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(INPUTS, LABELS, strict=True)]
    state, found = optimizer.init(model, objective, batches[0]), []
    step = eqx.filter_jit(optimizer.step)
    for batch in batches:
        model, state, _ = step(model, state, objective, batch, key=jax.random.key(0))
        leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
        found.append(np.concatenate([np.ravel(x) for x in leaves]))
    assert np.abs(found[-1] - found[0]).max() > 0.1
    np.testing.assert_allclose(found, theirs[kind], rtol=1e-10, atol=1e-10)
