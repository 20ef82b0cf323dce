"""How long a step takes: optimizers of minibatches by parameters and by outputs of the network."""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from figures.recipes import Job, Made, recorded
from figures.recipes.timing import median_ms
from pinn_ngd import _tree, optimizers
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated
from pinn_ngd.spu import DeviceCost

OUTPUTS = (2, 5, 10, 20, 50, 100)
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


def make(job: Job) -> Made:
    """Milliseconds of a step by parameters and by outputs."""
    widths, outputs = ((12,), (2,)) if job.quick else ((12, 38, 125, 400, 1250), OUTPUTS)
    repeats = 2 if job.quick else 5
    by_size = step_times([Size(width, 20) for width in widths], repeats, job.tell)
    by_outputs = step_times([Size(125, k) for k in outputs], repeats, job.tell)
    panels = []
    for found, x, xlabel in (
        (by_size, by_size["parameters"], "parameters (20 outputs)"),
        (by_outputs, outputs, "outputs (about 100,000 parameters)"),
    ):
        curves = {name: (x, y) for name, y in found.items() if name != "parameters"}
        panels.append(Curves(curves, xlabel, "milliseconds a step"))
    save(plot_curves(panels), job.folder / job.name)
    return recorded(job, [job.name], seeds=[], results={"size": by_size, "outputs": by_outputs})


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

    def call() -> Any:
        info = step(model, state, objective, batch, key=key)[2]
        return info.loss, info.step_length

    return median_ms(call, repeats)
