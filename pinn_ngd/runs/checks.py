"""The verification tests on a problem, with the optimizer that it would be trained with."""

from typing import cast

import jax

from .. import metrics, optimizers
from ..linalg import Form
from ..metrics import EnergyMetric
from ..problem import Problem
from ..training.advance import plain_errors
from ..verification import Check, verify
from .state_metrics import with_state


def check_problem(problem: Problem, *, metric: str | None = None, seed: int = 0) -> list[Check]:
    """Verify the objective and a metric (default: that of the problem's optimizer) at its start.

    Raises ValueError for an unknown metric.
    """
    settings = dict(problem.optimizer_settings) | ({} if metric is None else {"metric": metric})
    chosen = with_state(problem.optimizer, settings, problem).get("metric")
    if isinstance(chosen, str):
        chosen = metrics.get(chosen)
    if chosen is None:
        optimizer = optimizers.get(problem.optimizer, **settings)
        chosen = getattr(optimizer, "metric", EnergyMetric())
    key = jax.random.key(seed)
    form = cast(Form, settings.get("form", "auto"))
    with plain_errors():
        return verify(
            problem.objective, problem.model(key), chosen, key=jax.random.fold_in(key, 1), form=form
        )
