"""How far a sketched step of SENG is from the whole one, by kind and size of the sketch."""

import itertools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import PyTree

from figures.recipes import Job, Made, recorded
from pinn_ngd import optimizers, train
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, new_figure
from pinn_ngd.linalg import LayerwiseWoodbury

COLUMNS = (16, 64, 256, 1024, 4096)
DAMPINGS = (2.0, 0.1)
DRAWS, STEPS = 10, 100
KINDS = {
    "uniform": {},
    "uniform, scaling of the authors": {"sketch": "uniform", "scaling": "authors"},
    "grid": {"sketch": "grid"},
    "CountSketch": {"sketch": "countsketch"},
    "SRHT": {"sketch": "srht"},
}


def make(job: Job) -> Made:
    """Median relative error |d_s - d| / |d| over draws, for the layers that are sketched."""
    problem = job.problem("autoencode-digits")
    model = problem.model(jax.random.key(0))
    steps, draws = (2, 2) if job.quick else (STEPS, DRAWS)
    sgd = optimizers.get("sgd", rate=0.03)
    model = train(problem.objective, model, sgd, steps=steps, key=jax.random.key(1)).model
    objective = problem.objective.with_curvature("empirical-fisher")
    system = objective.system(model, objective.batch(jax.random.key(2)))
    gradient = system.operator.transpose().mv(system.target)
    columns = COLUMNS[:2] if job.quick else COLUMNS
    whole = next(_steps(LayerwiseWoodbury(), system.operator, gradient))
    results: dict[str, list[float]] = {_label(kind, d): [] for kind in KINDS for d in DAMPINGS}
    for kind, settings in KINDS.items():
        for count in columns:
            job.tell(f"{kind}, {count} columns")
            drawn = _steps(LayerwiseWoodbury(count, **settings), system.operator, gradient)
            found = list(itertools.islice(drawn, draws))
            for i, damping in enumerate(DAMPINGS):
                errors = [_error(one[i], whole[i], count) for one in found]
                results[_label(kind, damping)].append(float(np.median(errors)))
    _draw(job, columns, results)
    return recorded(
        job, [job.name], seeds=list(range(draws)), results={"columns": columns, **results}
    )


def _label(kind: str, damping: float) -> str:
    return f"{kind}, damping {damping:g}"


def _steps(
    solver: LayerwiseWoodbury, operator: lx.AbstractLinearOperator, gradient: PyTree
) -> Iterator[list[PyTree]]:
    """The steps for all dampings, with one sketch after the other."""

    @eqx.filter_jit
    def next_one(state: PyTree, operator: Any, gradient: PyTree) -> tuple[PyTree, list[PyTree]]:
        state = solver.refreshed(state, operator)
        return state, [solver.compute_kept(state, gradient, d)[0] for d in DAMPINGS]

    state = eqx.filter_jit(solver.refreshed)(None, operator)
    while True:
        state, found = next_one(state, operator, gradient)
        yield found


def _error(found, whole, count: int) -> float:
    """Over the leaves with more numbers than the sketch has columns."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True)
    large = [(a, b) for a, b in pairs if b.size > count]
    difference = sum(float(jnp.sum((a - b) ** 2)) for a, b in large)
    return (difference / sum(float(jnp.sum(b**2)) for _, b in large)) ** 0.5


def _draw(job: Job, columns: tuple[int, ...], results: dict[str, list[float]]) -> None:
    strokes = cycled(KINDS)
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 2.8)
        axes = figure.subplots(1, len(DAMPINGS), sharey=True)
        for ax, damping in zip(axes, DAMPINGS, strict=True):
            for kind, stroke in strokes.items():
                errors = results[_label(kind, damping)]
                ax.loglog(columns, errors, marker="o", markersize=3, label=kind, **stroke._asdict())
            ax.set(title=f"damping {damping:g}", xlabel="columns of the sketch")
        axes[0].set(ylabel="relative error of the step")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        plotting.save(figure, job.folder / job.name)
