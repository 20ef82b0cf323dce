"""Milliseconds of the exact natural-gradient step of a minibatch, layer by layer and naively.

Batch 64, ten classes: 640 rows. `layers` solves the dual system with the Gram matrix from layer
inputs and cotangents, `rows` stores the Jacobian; both in single precision, the whole step
compiled (cotangents, Gram matrix, Cholesky, product). Run it on one core, e.g.
`taskset -c 0 python benchmarks/classification_step.py`.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from pinn_ngd.linalg import Cholesky, JacobianRows, LeastSquaresSystem, Normal, solve
from pinn_ngd.models import CNN
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.timing import seconds_of

OBJECTIVE = ClassificationObjective(Generated(lambda key: (key, key)))


def mlp(width, key):
    return eqx.nn.Sequential(
        [
            eqx.nn.Lambda(jax.numpy.ravel),
            eqx.nn.MLP(784, 10, width, 1, activation=jax.nn.tanh, key=key),
        ]
    )


MODELS = {
    "dense, 25k": lambda key: mlp(32, key),
    "dense, 100k": lambda key: mlp(126, key),
    "convolution, 25k": lambda key: CNN((1, 28, 28), 10, width=21, key=key),
    "convolution, 100k": lambda key: CNN((1, 28, 28), 10, width=86, key=key),
}


@eqx.filter_jit
def layers(model, batch):
    system = OBJECTIVE.system(model, batch)
    return _direction(system)


@eqx.filter_jit
def rows(model, batch):
    """The naive form: every row by reverse mode through the whole network, stored."""
    params, static = eqx.partition(model, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    loss = OBJECTIVE.loss_function

    def example(x, y):
        def outputs(q):
            return eqx.combine(unravel(q), static)(x)

        z = outputs(flat)
        return loss.factor(z).T @ jax.jacrev(outputs)(flat) / 8, loss.target(z, y) / 8

    matrix, target = jax.vmap(example)(batch.inputs, batch.targets)
    structures = jax.eval_shape(lambda: params), jax.eval_shape(lambda: target)
    operator = JacobianRows(matrix.reshape(-1, flat.size), *structures)
    return _direction(LeastSquaresSystem(operator, target))


def _direction(system):
    damped = LeastSquaresSystem(system.operator, system.target, damping=1e-2)
    return solve(damped, Normal(Cholesky()), form="dual").value


def milliseconds(fn, *args, repeats):
    times = [1e3 * seconds for seconds in seconds_of(lambda: fn(*args), repeats)]
    return float(np.median(times)), min(times)


def main(repeats: int = 20, batch_size: int = 64) -> None:
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    inputs = jax.random.normal(k1, (batch_size, 1, 28, 28))
    batch = Batch(inputs, jax.random.randint(k2, (batch_size,), 0, 10))
    print("| network | parameters | layers (median, best) | rows (median, best) |")
    print("|---|---|---|---|")
    for name, build in MODELS.items():
        model = build(k3)
        count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
        cells = [milliseconds(f, model, batch, repeats=repeats) for f in (layers, rows)]
        text = " | ".join(f"{median:.1f}, {best:.1f}" for median, best in cells)
        print(f"| {name} | {count} | {text} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    main(**vars(parser.parse_args()))
