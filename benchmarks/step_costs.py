"""What a step of K-FAC and of EKFAC costs beside one of Adam, and which part costs what.

Dense tanh networks 64-w-w-w-10 of about 25,000 and a million parameters in single precision,
softmax loss, one batch. A time is the processor time of ten steps, the median over rounds, divided
by ten: a renewal of the factors every ten steps counts as it should. Compilation does not count.
The shares are those of Martens and Grosse (2015, section 8).

    taskset -c 0 python benchmarks/step_costs.py [--batch-size N] [--rounds R] [--widths W ...]
        [--ablate]

`--ablate` leaves one part out at a time: the decomposition of the factors, their measurement in
every step, the quadratic model with the damping that follows it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import ClassificationObjective, Shuffled, optimizers
from pinn_ngd.experiments.comparison import split_label
from pinn_ngd.models import MLP
from pinn_ngd.training.advance import as_arrays

WIDTHS = (96, 690)
STEPS = 10  # a round
SHARES = "factor_share=0.125:model_share=0.25"
OPTIMIZERS = ("adam", "kfac", "ekfac", f"kfac:{SHARES}", f"ekfac:{SHARES}")
PARTS = (
    "kfac:refresh_every=100000",
    "kfac:measure_every=10",
    "kfac:rescale=False:adaption=fixed",
    "kfac:rescale=False:adaption=fixed:measure_every=10",
)


def milliseconds(label, objective, model, rounds):
    """Of one step, the first ten being over."""
    name, settings = split_label(label)
    optimizer, key = optimizers.get(name, **settings), jax.random.key(0)
    batch = objective.draw(key, 0)
    state = as_arrays(optimizer.init(model, objective, batch))
    model = as_arrays(model)

    @eqx.filter_jit
    def step(model, state, batch, key):
        return optimizer.step(model, state, objective, batch, key=key)[:2]

    def advance(model, state):
        for _ in range(STEPS):
            model, state = step(model, state, batch, key)
        return model, state

    times = []
    for _ in range(1 + rounds):
        begun = time.process_time()
        model, state = advance(model, state)
        jax.block_until_ready(eqx.filter((model, state), eqx.is_array))
        times.append(time.process_time() - begun)
    return 1e3 * float(np.median(times[1:])) / STEPS


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--ablate", action="store_true")
    chosen = parser.parse_args()
    print(f"batches of {chosen.batch_size}, float32, processor milliseconds a step")
    print("| parameters | optimizer | median | over Adam's |\n|---:|---|---:|---:|")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(chosen.batch_size, 64)).astype(np.float32)
    labels = jnp.asarray(rng.integers(0, 10, chosen.batch_size))
    objective = ClassificationObjective(Shuffled(inputs, labels))
    for width in chosen.widths:
        sizes = (64, width, width, width, 10)
        model = MLP(sizes, key=jax.random.key(0), init="glorot", dtype=np.float32)
        count = sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
        base = None
        for label in (*OPTIMIZERS, *(PARTS if chosen.ablate else ())):
            found = milliseconds(label, objective, model, chosen.rounds)
            base = found if base is None else base
            print(f"| {count:,} | `{label}` | {found:.2f} | {found / base:.1f} |", flush=True)


if __name__ == "__main__":
    main()
