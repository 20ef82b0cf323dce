"""State metrics on problems that have no state of their own: the network on a grid."""

from collections.abc import Mapping
from typing import Any

from .. import metrics, optimizers
from ..geometry.grids import Grid
from ..optimizers.presets.registry import split_metric
from ..states import PointwiseState, StateObjective
from .problem import Problem

POINTS = {1: 200, 2: 48, 3: 16}  # per axis
# As in the PINN experiments of Nurbekyan, Lei and Yang, whose solutions exceed -2; a network on its
# way may not.
DENSITY = {"shift": 3.0, "floor": 1.0}


def with_state(optimizer: str, settings: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """Settings of that optimizer with the name of a metric replaced by the problem's metric.

    For PINN and Ritz problems the state is the network on a uniform grid. Metrics of densities
    (`needs_positive`) see the network plus 3, or plus what makes it 1 or more. The mass of a
    network is free to change: metrics that would be blind to constants on a closed grid
    (`is_blind`) get an open one (Dirichlet). Settings of the metric itself ("metric.floor") take
    precedence. Raises ValueError in more than three dimensions, where such a grid is too large.
    """
    own, given = split_metric(settings)
    name = {**optimizers.settings(optimizer), **own}.get("metric")
    if not isinstance(name, str) or not _wants_state(name, problem):
        return dict(settings)
    dimension = 0 if problem.domain is None else problem.domain.dimension
    if problem.domain is None or dimension not in POINTS:
        msg = (
            f"the metric {name!r} needs a grid, and {problem.name} has {dimension} dimensions:"
            " use the energy metric, or pass a metric with a `state` of your own."
        )
        raise ValueError(msg)
    metric: Any = metrics.get(name, **given)
    boundary = "dirichlet" if getattr(metric, "is_blind", False) else "neumann"
    grid = Grid(problem.domain, (POINTS[dimension],) * dimension, boundary)
    lift = _lift(name) if getattr(metric, "needs_positive", False) else {}
    return {**own, "metric": metrics.get(name, state=PointwiseState(grid), **{**lift, **given})}


def _lift(name: str) -> dict[str, float]:
    """What makes a network a density, of the settings that the metric has."""
    known = metrics.settings(name)
    return {key: value for key, value in DENSITY.items() if key in known}


def _wants_state(name: str, problem: Problem) -> bool:
    return metrics.needs_state(name) and not isinstance(problem.objective, StateObjective)
