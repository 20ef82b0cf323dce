"""The verification tests on a problem, with the optimizer that it would be trained with."""

from collections.abc import Mapping
from typing import Any, cast

import jax

from .. import optimizers
from ..linalg import Form
from ..metrics import AbstractMetric, EnergyMetric
from ..objectives import ResidualObjective
from ..training.accepted import key_of
from ..training.advance import plain_errors
from ..validation import KernelConditions, kernel_conditions
from .problem import Problem
from .state_metrics import with_state
from .verification import Check, verify


def check_problem(
    problem: Problem,
    *,
    metric: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> list[Check]:
    """Verify the objective and a metric (default: that of the problem's optimizer) at its start.

    `settings` are those of the problem's optimizer and, as "metric.floor", of its metric. Raises
    ValueError for an unknown metric or setting.
    """
    chosen, form = _metric_of(problem, metric, dict(settings or {}))
    key = key_of(seed)
    with plain_errors():
        return verify(
            problem.objective, problem.model(key), chosen, key=jax.random.fold_in(key, 1), form=form
        )


def kernel_of(problem: Problem, seed: int = 0) -> KernelConditions | None:
    """What the theory of overparameterized networks says of the problem at its start."""
    if not isinstance(problem.objective, ResidualObjective):
        return None
    key = key_of(seed)
    batch = problem.objective.batch(jax.random.fold_in(key, 1))
    return kernel_conditions(
        problem.objective, problem.model(key), batch, key=jax.random.fold_in(key, 2)
    )


def _metric_of(
    problem: Problem, metric: str | None, settings: dict[str, Any]
) -> tuple[AbstractMetric, Form]:
    named = {} if metric is None else {"metric": metric}
    if isinstance(problem.optimizer, str):
        own = {**problem.optimizer_settings, **settings, **named}
        name = problem.optimizer
        if "metric" in named and not optimizers.uses_metric(name):
            name = "engd-tr"  # some optimizer that takes a metric: it is not asked to step
            own = {key: value for key, value in own.items() if key.startswith("metric")}
        optimizer = optimizers.get(name, **with_state(name, own, problem))
    elif metric is None:
        optimizer = problem.optimizer
    else:
        optimizer = optimizers.get("engd-tr", **with_state("engd-tr", named, problem))
    form = cast(Form, getattr(optimizer, "form", "auto"))
    return getattr(optimizer, "metric", EnergyMetric()), form
