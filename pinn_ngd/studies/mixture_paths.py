"""The gallery's picture of eight metrics on the level sets of one mixture."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import optimizers
from ..experiments.plotting import Landscape
from ..experiments.problem import load_problem
from ..training import AbstractCallback, train

METRICS = {
    "gradient descent": "euclidean", "$L^2$": "l2", "Fisher-Rao": "fisher-rao", "$H^1$": "h1",
    "$\\dot H^1$": "h1-homogeneous", "$H^{-1}$": "h-1", "$\\dot H^{-1}$": "h-1-homogeneous",
}  # fmt: skip
OPERATORS = {
    "central differences, closed by the box": "wasserstein-central",
    "staggered differences, open box": "wasserstein",
}
WINDOW = ((0.0, 7.25), (0.0, 6.0))


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
