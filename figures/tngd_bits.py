"""What rounding and mismatch of a device cost in the end: the test error of a training.

Bits are those of arrays, input and read-out, the mismatch that of the arrays.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd import optimizers
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.experiments.problem import Problem, load_problem
from pinn_ngd.training import train

# Damping and momentum are the published ones, the rate is that of our other pictures.
SETTINGS = {"time": 5.0, "damping": 0.01, "momentum": 0.0, "rate": 0.1}
Curve = tuple[list[float], list[float], list[float], list[float]]


def make(job: Job) -> Made:
    """Test error of trainings on coarse, mismatched, perfect and empty devices."""
    problem = load_problem("classify-digits", channels=4, width=12, batch_size=16)
    seeds, steps = job.seeds(5), 2 if job.quick else 210
    bits, sizes = ((8,), (0.1,)) if job.quick else ((2, 3, 4, 6, 8), (0.03, 0.1, 0.3, 1.0))
    apart, fine, whole = "$J$, $H$, $J^T$", "the same, $H$ of 8 bits", "$S^TJ$ and its transpose"
    stepped = {"simulation": "euler-maruyama"}
    rounded = {apart: {}, fine: {"curvature_bits": 8}, whole: {"factored": True}}
    erring = {apart: stepped, whole: {**stepped, "factored": True}}
    controls = {"perfect device": {}, "empty arrays": empty_arrays()}
    flat = {
        label: errors_by_device(problem, {0.0: own}, seeds, steps, job.tell)
        for label, own in controls.items()
    }
    panels, results = [], dict(flat)
    for label, levels, designs in (("bits", bits, rounded), ("mismatch", sizes, erring)):
        curves = {}
        for design, own in designs.items():
            devices = {float(level): {label: level, **own} for level in levels}
            curves[design] = errors_by_device(problem, devices, seeds, steps, job.tell)
            results[f"{label}: {design}"] = curves[design]
        lines = {k: (levels, *(x * len(levels) for x in v[1:])) for k, v in flat.items()}
        scale = "linear" if label == "bits" else "log"
        panels.append(Curves({**curves, **lines}, label, "test error", xscale=scale))
    save(plot_curves(panels), job.folder / job.name)
    return recorded(job, [job.name], seeds=list(seeds), results=results)


def errors_by_device(
    problem: Problem,
    devices: Mapping[float, Mapping[str, Any]],
    seeds: Sequence[int],
    steps: int,
    tell: Callable[[str], None],
) -> Curve:
    """(level, median, least, largest) final test error of `tngd`, by what the device lacks.

    `devices` gives settings of the optimizer by level, bits or mismatch. A run that fails, as where
    the voltages grow without bound, counts as an error of one.
    """
    rows = []
    for level, lacking in devices.items():
        errors = [_final_error(problem, {**SETTINGS, **lacking}, seed, steps) for seed in seeds]
        rows.append((float(level), float(np.median(errors)), min(errors), max(errors)))
        tell(f"  {dict(lacking)}: {rows[-1][1]:.3f} ({min(errors):.3f} to {max(errors):.3f})")
    level, median, least, largest = (list(column) for column in zip(*rows, strict=True))
    return level, median, least, largest


def empty_arrays() -> dict[str, float]:
    """Settings of gradient descent with the steps that a device of zero arrays makes.

    Its voltages are exp(-c t) g + (1 - exp(-c t)) / c g with the damping c: longer than g.
    """
    time, damping = SETTINGS["time"], SETTINGS["damping"]
    factor = math.exp(-damping * time) - math.expm1(-damping * time) / damping
    return {"time": 0.0, "rate": factor * SETTINGS["rate"]}


def _final_error(problem: Problem, settings: Mapping[str, Any], seed: int, steps: int) -> float:
    key = jax.random.key(seed)
    try:
        result = train(
            problem.objective,
            problem.model(key),
            optimizers.get("tngd", **settings),
            steps=steps,
            key=jax.random.fold_in(key, 1),
            evaluate=problem.evaluator(),
            evaluate_every=steps,
        )
    except ValueError:  # rounded arrays that are indefinite
        return 1.0
    failed = result.status == "failed"
    return 1.0 if failed else float(result.measures["test_error"])
