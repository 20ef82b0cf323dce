"""Minibatch natural gradients: exact steps, the limits of time, Adam's sign, frozen parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import _tree, optimizers, train
from pinn_ngd.models import Frozen, freeze
from pinn_ngd.objectives import Shuffled
from pinn_ngd.optimizers import FixedDamping, LevenbergMarquardt, MinibatchNaturalGradient
from tests.optimizers.minibatch.helpers import DAMPING, RATE, blobs, close, dense, move, network


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ngd", {}),
        ("ngd-woodbury", {}),
        ("ngd-cg", {"iterations": 60}),
        ("tngd", {"time": 1e4}),
    ],
)
@pytest.mark.parametrize("curvature", ["ggn", "empirical-fisher"])
def test_all_exact_solvers_take_the_damped_natural_step(name, settings, curvature):
    common = dict(rate=RATE, momentum=0.0, damping=DAMPING, **settings)
    objective = blobs(curvature=curvature)
    step = move(name, objective=objective, **common)
    if curvature == "ggn":
        close(step, -RATE * dense()[1], 1e-7)
    else:
        close(step, move("ngd", objective=objective, rate=RATE, damping=DAMPING), 1e-7)


def test_mc_fisher_steps_agree_between_solvers():
    objective = blobs(curvature="mc-fisher")
    common = dict(rate=RATE, momentum=0.0, damping=DAMPING, objective=objective)
    close(move("ngd-woodbury", **common), move("ngd-cg", iterations=60, **common), 1e-7)


def test_time_zero_is_gradient_descent():
    close(move("tngd", time=0.0, rate=RATE, momentum=0.9, steps=3),
           move("sgd", rate=RATE, momentum=0.9, steps=3))  # fmt: skip


def test_momentum_of_nesterov_takes_the_velocity_once_more():
    """v = m v + g and a step of -rate (m v + g); of the first step -rate (1 + m) g."""
    step = move("sgd", rate=RATE, momentum=0.5, nesterov=True)
    close(step, -1.5 * RATE * dense()[0])


def test_time_between_is_the_exponential_filter():
    gradient, _, curvature = dense()
    a, q = jnp.linalg.eigh(curvature + DAMPING * jnp.eye(len(gradient)))
    gains = 1 / a + (1 - 1 / a) * jnp.exp(-2.0 * a)
    step = move("tngd", time=2.0, rate=RATE, momentum=0.0, damping=DAMPING)
    close(step, -RATE * (q @ (gains * (q.T @ gradient))))


def test_clipping_leaves_flat_modes_and_solves_steep_ones():
    gradient, _, curvature = dense()
    a, q = jnp.linalg.eigh(curvature + 0.7 * jnp.eye(len(gradient)))
    step = move("spectral-clipping", rate=RATE, momentum=0.0, damping=0.7)
    close(step, -RATE * (q @ (jnp.minimum(1, 1 / a) * (q.T @ gradient))))
    assert bool(jnp.any(a > 1))


def test_adam_without_betas_is_the_sign():
    step = move("tngd-adam", time=1e4, damping=DAMPING, beta1=0.0, beta2=0.0, rate=RATE)
    close(step, -RATE * jnp.sign(dense()[1]), 1e-4)
    close(move("signsgd", rate=RATE), -RATE * jnp.sign(dense()[0]))


@pytest.mark.parametrize(
    "name", ["ngd", "ngd-woodbury", "ngd-cg", "tngd", "tngd-adam", "spectral-clipping", "sgd",
             "signsgd", "adam", "kfac", "ekfac", "seng", "sp-ngd", "lbfgs", "engd-tr", "engd-w"]
)  # fmt: skip
def test_every_optimizer_learns_and_leaves_frozen_parts_alone(name):
    # those that trust the loss of a step have every example: on a part they fit that part
    size = None if name in ("lbfgs", "engd-tr", "engd-w") else 16
    objective, model = blobs(size), freeze(network(), lambda m: m.layers[0])
    slow = ("adam", "signsgd", "tngd-adam")
    settings = {"rate": 0.02} if name in slow else {}
    optimizer = optimizers.get(name, **settings)
    result = train(objective, model, optimizer, steps=40, key=jax.random.key(0))
    batch = Shuffled(objective.batches.inputs, objective.batches.targets).draw(jax.random.key(0), 0)
    assert isinstance(result.model.layers[0], Frozen)
    before, after = model.layers[0], result.model.layers[0]
    assert all(map(np.array_equal, jax.tree.leaves(before.bits), jax.tree.leaves(after.bits)))
    assert float(objective.loss(result.model, batch)) < 0.6 * float(objective.loss(model, batch))
    assert _tree.size(model) == 21


def test_every_step_has_its_own_batch_whatever_the_optimizers_stride():
    result = train(blobs(), network(), optimizers.get("adam"), steps=5, key=jax.random.key(0))
    assert [record["step"] for record in result.history] == [1, 2, 3, 4, 5]


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="`schedule` is 'linear'; it must be one of constant"):
        optimizers.get("sgd", schedule="linear")
    with pytest.raises(ValueError, match="`decay_steps` is 0"):
        optimizers.get("tngd", decay_steps=0)
    with pytest.raises(ValueError, match="`delay` is 3"):
        optimizers.get("tngd", delay=3.0, time=2.0)
    with pytest.raises(ValueError, match="`adaption` is 'lm'; it must be one of fixed"):
        optimizers.get("ngd", adaption="lm")
    for rule in (FixedDamping, LevenbergMarquardt):
        with pytest.raises(ValueError, match="give one above 0"):
            rule(0.0)
    with pytest.raises(ValueError, match="`factor` is 2"):
        LevenbergMarquardt(factor=2.0)
    assert isinstance(optimizers.get("ngd"), MinibatchNaturalGradient)
