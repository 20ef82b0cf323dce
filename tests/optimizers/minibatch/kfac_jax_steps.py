"""Ten steps of kfac-jax, for tests/optimizers/minibatch/test_kfac_jax.py: `... START.npz OUT.npz`.

Runs in an environment of its own, with kfac-jax and without this package.
"""

import sys

import jax
import jax.numpy as jnp
import kfac_jax
import numpy as np


def loss(params, batch):
    """Its matcher of layers wants x @ W + b."""
    x, y = batch
    for i, (w, b) in enumerate(params):
        x = x @ w + b
        x = jnp.tanh(x) if i < len(params) - 1 else x
    kfac_jax.register_softmax_cross_entropy_loss(x, y)
    return -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(len(y)), y])


def steps(start, adaptive):
    """The parameters after every step, weights (outputs, inputs) and biases in turn."""
    damping, rate, momentum = (float(start[name]) for name in ("damping", "rate", "momentum"))
    optimizer = kfac_jax.Optimizer(
        value_and_grad_func=jax.value_and_grad(loss), l2_reg=0.0, estimation_mode="fisher_exact",
        use_adaptive_learning_rate=adaptive, use_adaptive_momentum=adaptive,
        use_adaptive_damping=False, damping_schedule=lambda _: damping,
        learning_rate_schedule=None if adaptive else lambda _: rate,
        momentum_schedule=None if adaptive else lambda _: momentum,
        num_burnin_steps=0, inverse_update_period=1, curvature_ema=1.0, min_damping=0.0,
    )  # fmt: skip
    count = sum(name.startswith("weight") for name in start)
    layers = [(start[f"weight{i}"].T, start[f"bias{i}"]) for i in range(count)]
    params = [tuple(map(jnp.asarray, layer)) for layer in layers]
    batches = list(zip(start["inputs"], start["targets"], strict=True))
    state, found = optimizer.init(params, jax.random.key(0), batches[0]), []
    for number, batch in enumerate(batches):
        key = jax.random.fold_in(jax.random.key(0), number)
        params, state, _ = optimizer.step(params, state, key, batch=batch, global_step_int=number)
        found.append(np.concatenate([np.ravel(x) for w, b in params for x in (w.T, b)]))
    return np.stack(found)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    given = dict(np.load(sys.argv[1]))
    np.savez(sys.argv[2], fixed=steps(given, False), adaptive=steps(given, True))
