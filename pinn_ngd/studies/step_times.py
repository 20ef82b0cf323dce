"""How long a step takes: optimizers of minibatches by parameters and by outputs of the network."""

import time
from collections.abc import Callable, Sequence
from math import nan
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _tree, optimizers
from ..objectives import Batch, ClassificationObjective, Generated
from ..spu import DeviceCost

INPUTS = 784
DEVICE_TIME = 50.0  # RC times, the setting of the published experiments
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "ngd": {},
    "ngd-cg": {"iterations": 10},
    "ngd-woodbury": {},
    "tngd": {"time": DEVICE_TIME},
}
MODEL = "tngd, device model"
MOST_STORED = 7e7  # rows x parameters: with more of them the dense solver takes seconds a step


class Size(NamedTuple):
    """A dense network of one hidden layer, and a batch."""

    width: int
    outputs: int
    batch: int = 32


def step_times(
    sizes: Sequence[Size], repeats: int, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """Median milliseconds of a compiled step, a list over `sizes` for each optimizer.

    The last entry replaces the simulation of `tngd` by the model of a device (`DeviceCost`: 16
    bits, 50 Gb/s, 1 us): the gradient as Adam computes it, and the modeled seconds of one solve.
    "parameters" holds their number. The dense `ngd` is not a number beyond `MOST_STORED`.
    """
    found: dict[str, list[float]] = {name: [] for name in ("parameters", *OPTIMIZERS, MODEL)}
    for size in sizes:
        model = eqx.nn.MLP(
            INPUTS, size.outputs, size.width, 1, jnp.tanh, dtype=jnp.float32, key=jax.random.key(0)
        )
        parameters = _tree.size(model)
        rows = size.batch * size.outputs
        for name, settings in OPTIMIZERS.items():
            too_large = name == "ngd" and rows * parameters > MOST_STORED
            taken = nan if too_large else _milliseconds(name, settings, model, size, repeats)
            found[name].append(taken)
        elements = 2 * rows * parameters + rows * size.outputs + parameters
        seconds = DeviceCost().solve(elements, parameters, DEVICE_TIME).seconds
        found[MODEL].append(found["adam"][-1] + 1e3 * float(seconds))
        found["parameters"].append(float(parameters))
        tell(f"  {size}: " + ", ".join(f"{name} {x[-1]:.1f}" for name, x in found.items()))
    return found


def _milliseconds(name: str, settings: dict, model: Any, size: Size, repeats: int) -> float:
    first, second, key = jax.random.split(jax.random.key(1), 3)
    inputs = jax.random.normal(first, (size.batch, INPUTS), jnp.float32)
    targets = jax.random.randint(second, (size.batch,), 0, size.outputs)
    batch = Batch(inputs, targets)
    objective = ClassificationObjective(Generated(lambda _: (inputs, targets)))
    optimizer = optimizers.get(name, **settings)
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step)
    times = []
    for _ in range(repeats + 1):  # the first compiles
        begun = time.perf_counter()
        _, _, info = step(model, state, objective, batch, key=key)
        jax.block_until_ready(info.loss)
        jax.block_until_ready(info.step_length)
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times[1:]))
