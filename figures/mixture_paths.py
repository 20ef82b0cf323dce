"""Paths of eight metrics on the level sets of the mixture whose first mean is free."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd import optimizers
from pinn_ngd.experiments.plotting import Landscape, plot_paths, save
from pinn_ngd.experiments.problem import load_problem
from pinn_ngd.training import AbstractCallback, train

METRICS = {
    "gradient descent": "euclidean", "$L^2$": "l2", "Fisher-Rao": "fisher-rao", "$H^1$": "h1",
    "$\\dot H^1$": "h1-homogeneous", "$H^{-1}$": "h-1", "$\\dot H^{-1}$": "h-1-homogeneous",
}  # fmt: skip
OPERATORS = {
    "central differences, closed by the box": "wasserstein-central",
    "staggered differences, open box": "wasserstein",
}
WINDOW = ((0.0, 7.25), (0.0, 6.0))


def make(job: Job) -> Made:
    """Eight metrics on the level sets of the mixture whose first mean is free."""
    panels = landscapes(3 if job.quick else 400, 8 if job.quick else 81, job.tell)
    figure = plot_paths(panels, ("$\\mu_{1,x}$", "$\\mu_{1,y}$"), minimum=(2.3996, 1.8417))
    save(figure, job.folder / job.name)
    ends = {p.title: {k: v[-1].tolist() for k, v in p.paths.items()} for p in panels}
    return recorded(job, [job.name], seeds=[], results=ends)


class _Trace(AbstractCallback):
    """Keeps the free mean after every step."""

    def __init__(self, start: Any):
        self.path = [np.asarray(start)]

    def on_step(self, record: Any, model: Any) -> None:
        del record
        self.path.append(np.asarray(model.first))


def landscapes(steps: int, resolution: int, tell: Callable[[str], None]) -> list[Landscape]:
    """Both panels: the seven metrics, and Wasserstein with either operator, from (5, 3)."""
    problem = load_problem("gaussian-mixture", free="mean")
    x, y = (np.linspace(a, b, resolution) for a, b in WINDOW)
    values = _values(problem, x, y)
    common = {label: _path(problem, name, steps, tell) for label, name in METRICS.items()}
    return [
        Landscape(title, x, y, values, {"$W_2$": _path(problem, name, steps, tell), **common})
        for title, name in OPERATORS.items()
    ]


def _path(problem: Any, metric: str, steps: int, tell: Callable[[str], None]) -> np.ndarray:
    """Steps of length 0.1 along the direction, halved until they lower the loss enough."""
    optimizer = optimizers.get(
        "wngd", metric=metric, norm_limit=0.1, rate=float("inf"), damping=0.0
    )
    model = problem.model(jax.random.key(0))
    trace = _Trace(model.first)
    result = train(
        problem.objective, model, optimizer, steps=steps, key=jax.random.key(0), callbacks=[trace]
    )
    tell(f"  {metric}: ends at {trace.path[-1].round(3).tolist()}, loss {result.loss:.6f}")
    return np.array(trace.path)


def _values(problem: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss on the grid of free means."""
    model = problem.model(jax.random.key(0))

    def loss(mean: jax.Array) -> jax.Array:
        moved = type(model)(model.weight, (mean[0], mean[1]), model.second, model.variance)
        return problem.objective.loss(moved, ())

    mesh = jnp.asarray(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2))
    return np.asarray(jax.lax.map(loss, mesh, batch_size=64)).reshape(len(x), len(y))
