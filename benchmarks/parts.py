"""Steps from a part of the rows: how far the last iterate can be trusted, and what helps.

Poisson's equation on the unit square, u = sin(pi x) sin(pi y), a tanh network 2-20-20-1 (501
parameters), 600 + 200 Sobol points, `engd-sub` with 128 of them a step. From each seed:

- after 400 steps the last iterate, the one that fresh rows liked best (what `engd-sub` returns),
  and the mean of the iterates over about 20 steps;
- going on from step 300 for 800 more steps of 128 points, against 100 steps of 256 and 40 of all
  800, in the same time, and against 20 steps of `engd-tr`.

    python benchmarks/parts.py [SEEDS]

takes about a minute for five seeds on one core.
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from pinn_ngd import Box, Residual, ResidualObjective, Sobol, laplacian, optimizers
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import Averaged
from pinn_ngd.training.advance import as_arrays

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
CHECKED = Sobol(SQUARE, 1000, seed=5).quadrature().points
CALL = 10  # steps a compiled call


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


OBJECTIVE = ResidualObjective(
    [
        Residual(lambda u, x: laplacian(u)(x) + 2 * jnp.pi**2 * exact(x), Sobol(SQUARE, 600)),
        Residual(lambda u, x: u(x), Sobol(SQUARE.boundary(), 200, seed=1), 100.0),
    ]
)
BATCH = OBJECTIVE.batch()


@eqx.filter_jit
def error(model):
    right = jax.vmap(exact)(CHECKED)
    return jnp.linalg.norm(jax.vmap(model)(CHECKED) - right) / jnp.linalg.norm(right)


@eqx.filter_jit
def called(optimizer, model, state, key):
    arrays, static = eqx.partition(model, eqx.is_array)

    def step(carry, number):
        model, state = eqx.combine(carry[0], static), carry[1]
        key_ = jax.random.fold_in(key, number)
        model, state, _ = optimizer.step(model, state, OBJECTIVE, BATCH, key=key_)
        return (eqx.filter(model, eqx.is_array), state), None

    (arrays, state), _ = jax.lax.scan(step, (arrays, state), jnp.arange(CALL))
    return eqx.combine(arrays, static), state


def run(optimizer, model, steps, key):
    """The last iterate, what the optimizer answers, its state, and processor seconds."""
    state = as_arrays(optimizer.init(model, OBJECTIVE, BATCH))
    called(optimizer, model, state, key)  # compile
    begun = time.process_time()
    for number in range(steps // CALL):
        model, state = called(optimizer, model, state, jax.random.fold_in(key, number))
    jax.block_until_ready(jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    return model, optimizer.answer(model, state), time.process_time() - begun


def rows(count):
    return optimizers.get("engd-sub", rows=count)


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    table: dict[str, list[tuple[float, float]]] = {}

    def note(name, model, seconds):
        table.setdefault(name, []).append((float(error(model)), seconds))

    for seed in range(seeds):
        model = as_arrays(MLP((2, 20, 20, 1), key=jax.random.key(seed), domain=SQUARE))
        key = jax.random.key(100 + seed)
        last, best, seconds = run(rows(128), model, 400, key)
        note("400 of 128: last", last, seconds)
        note("400 of 128: best", best, seconds)
        _, mean, seconds = run(Averaged(rows(128), 0.95), model, 400, key)
        note("400 of 128: mean", mean, seconds)
        start, _, _ = run(rows(128), model, 300, key)
        _, found, seconds = run(rows(128), start, 800, key)
        note("then 800 of 128", found, seconds)
        _, found, seconds = run(rows(256), start, 100, key)
        _, found, more = run(rows(800), found, 40, key)
        note("then 100 of 256, 40 of 800", found, seconds + more)
        found, _, seconds = run(optimizers.get("engd-tr"), start, 20, key)
        note("then 20 of engd-tr", found, seconds)
        for name, found in table.items():
            print(f"{seed} {name:28} {found[-1][0]:.1e} {found[-1][1]:.1f} s", flush=True)
    for name, found in table.items():
        errors = [each for each, _ in found]
        seconds = np.median([each for _, each in found])
        print(f"{name:28} median {np.median(errors):.1e} worst {max(errors):.1e} {seconds:.1f} s")


if __name__ == "__main__":
    main()
