"""Full waveform inversion by metric: data misfit and error of the velocity against processor time.

A small disk (31 x 31 cells, seven shots), the same homogeneous start for all: gradient descent with
a warm line search, L-BFGS, and natural gradients in metrics of the recorded waves, each with so
many iterations of LSMR a step. Waves are no densities: Wasserstein sees every trace lifted by the
largest amplitude of the data, and tangents of its normalized form.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from figures.recipes import Job, Made, recorded
from figures.recipes.processor_time import iterates
from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments.plotting import FULL_WIDTH, save
from pinn_ngd.experiments.plotting.curves import Curves, draw_curves
from pinn_ngd.experiments.plotting.style import hide_spines, new_figure, style
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.linalg import LSMR
from pinn_ngd.metrics import Wasserstein

SMALL = {"cells": 31, "shots": 7, "duration": 0.8, "absorbing": 15, "frequency": 7.0}
TINY = {"cells": 21, "shots": 2, "duration": 0.7, "absorbing": 8, "frequency": 4.0}
ITERATIONS, SECONDS = 12, 8.0
DESCENT, LBFGS = "gradient descent", "L-BFGS"
METRICS = {"$L^2$": "l2", "$H^1$": "h1", "$H^{-1}$": "h-1", "Wasserstein": "wasserstein"}


class Path(NamedTuple):
    """Of every step from the start on: processor seconds, simulations, misfit and model error.

    `seconds` is zero at the start. `model` is the last one.
    """

    seconds: list[float]
    simulations: list[int]
    misfits: list[float]
    errors: list[float]
    model: Any


def make(job: Job) -> Made:
    """Both errors by time and the final velocities, in one picture."""
    problem = load_problem("fwi-camembert", **(TINY if job.quick else SMALL))
    paths = {}
    for label, optimizer in methods(problem).items():
        job.tell(f"  {label}")
        paths[label] = path_of(problem, optimizer, 0.2 if job.quick else SECONDS)
    save(picture(problem, paths), job.folder / job.name)
    results = {label: facts(path) for label, path in paths.items()}
    settings = TINY if job.quick else SMALL
    return recorded(job, [job.name], seeds=[], problem=settings, results=results)


def methods(problem: Problem) -> dict[str, Any]:
    """The optimizers by label."""
    objective: Any = problem.objective
    waves = objective.state(problem.exact)
    lifted = Wasserstein(floor=float(jnp.max(jnp.abs(waves))), mass="project")
    own = {"form": "matrix-free", "damping": 0.0, "bounds": (2.0, 3.5)}
    solver = LSMR(rtol=1e-6, atol=1e-6, max_steps=ITERATIONS)
    found = {
        DESCENT: optimizers.get("wngd", metric="euclidean", solver="cg", search="warm", **own),
        LBFGS: optimizers.get("lbfgs"),
    }
    for label, name in METRICS.items():
        metric = lifted if name == "wasserstein" else name
        found[label] = optimizers.get("wngd", metric=metric, solver=solver, **own)
    return found


def path_of(problem: Problem, optimizer: Any, seconds: float) -> Path:
    """Steps from the problem's start until so many processor seconds are spent."""
    objective, key = problem.objective, jax.random.key(0)
    truth: Any = problem.exact
    start = problem.model(key)
    misfit = jax.jit(lambda values: objective.loss(type(start)(values, start.spacing), ()))
    contrast = jnp.linalg.norm(truth.values - start.values)

    def error(model: Any) -> float:
        """The error of the velocity, in parts of the contrast of the disk: one at the start."""
        return float(jnp.linalg.norm(truth.values - model.values) / contrast)

    path = Path([0.0], [0], [float(misfit(start.values))], [1.0], start)
    for now in iterates(objective, optimizer, start, lambda _: (), key):
        path.seconds.append(now.seconds)
        path.simulations.append(now.solves)
        path.misfits.append(float(misfit(now.model.values)))
        path.errors.append(error(now.model))
        if now.seconds >= seconds:
            return path._replace(model=now.model)
    raise AssertionError("steps never end")


def facts(path: Path) -> dict[str, Any]:
    """What is written beside the picture."""
    return {
        "steps": len(path.seconds) - 1, "simulations": path.simulations[-1],
        "processor seconds": path.seconds[-1], "misfit": path.misfits[-1],
        "model error": path.errors[-1],
        "path": {
            "seconds": path.seconds, "simulations": path.simulations,
            "misfits": path.misfits, "model errors": path.errors,
        },
    }  # fmt: skip


def table(results: Mapping[str, Any]) -> str:
    """The table of docs/metrics.md, of what stands beside the picture."""
    lines = [
        "| | steps | simulations | data misfit | error of the velocity |",
        "|---|---:|---:|---:|---:|",
    ]
    for label, found in results.items():
        numbers = f"{found['misfit']:.1e} | {found['model error']:.3f}"
        name = label.replace("$", "").replace("L^2", "L2").replace("H^1", "H1")
        name = name.replace("H^{-1}", "H-1")
        lines.append(f"| {name} | {found['steps']} | {found['simulations']:,} | {numbers} |")
    return "\n".join(lines) + "\n"


def picture(problem: Problem, paths: Mapping[str, Path]) -> Any:
    """Two panels of curves with their legend, and below them the truth and every last velocity."""
    seconds = "processor time in s"
    panels = [
        Curves({k: (p.seconds, p.misfits) for k, p in paths.items()}, seconds, "data misfit",
               xscale="linear"),
        Curves({k: (p.seconds, p.errors) for k, p in paths.items()}, seconds,
               "error of the velocity", xscale="linear", yscale="linear"),
    ]  # fmt: skip
    with style():
        figure: Any = new_figure(FULL_WIDTH, 4.3)
        above, below = figure.subfigures(2, 1, height_ratios=(2.9, 1.4))
        draw_curves(above, panels, FULL_WIDTH, marker="")
        velocities = {"truth": problem.exact} | {label: p.model for label, p in paths.items()}
        _images(below, velocities)
        return figure


def _images(figure: Any, velocities: Mapping[str, Any]) -> None:
    fields = {label: np.asarray(model.values) for label, model in velocities.items()}
    axes: Sequence[Any] = figure.subplots(1, len(fields))
    for ax, (label, values) in zip(axes, fields.items(), strict=True):
        image = ax.imshow(
            values.T, origin="lower", extent=(0, 1, 0, 1), vmin=2.25, vmax=3.0, rasterized=True
        )
        ax.set(xticks=(0, 1), yticks=(0, 1) if ax is axes[0] else (), title=label)
        hide_spines(ax)
    axes[0].set(ylabel="z in km")
    axes[len(axes) // 2].set(xlabel="x in km")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=12, pad=0.01, extend="both")
    bar.set_label("velocity in km/s")
