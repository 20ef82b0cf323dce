"""Decisions and checks before the first step."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from ..models.parameters import check_parameters
from ..objectives import AbstractObjective
from ..optimizers.by_size import remark
from ..validation import Watch, scaling_remarks
from ..validation.held_out import masses_of
from .coefficients import warn_about_fixed


def stride_of(optimizer: Any, objective: Any, stride: int | None) -> int:
    if stride is not None and stride < 1:
        raise ValueError(f"`stride` is {stride}: a compiled call makes 1 step or more.")
    if not optimizer.jittable:
        return 1
    if stride is not None:
        return stride
    return getattr(objective, "steps_per_batch", None) or optimizer.stride


def warn_about_precision(model: PyTree, optimizer: Any) -> None:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    single = any(jnp.finfo(leaf.dtype).bits < 64 for leaf in leaves)
    if single and getattr(optimizer, "wants_float64", False):
        warnings.warn(
            "the model has float32 parameters, and this optimizer loses its digits in float32: "
            'call `jax.config.update("jax_enable_x64", True)` before the model is built, or '
            "expect a relative error of 1e-3 at best.",
            UserWarning,
            stacklevel=3,
        )


def warn_about_cost(optimizer: Any, objective: Any, model: PyTree, batch: PyTree) -> None:
    """Of a step that takes long or does not fit, where another optimizer's is cheaper."""
    if isinstance(objective, AbstractObjective):
        found = remark(optimizer, objective, model, batch)
        if found is not None:
            warnings.warn(found, UserWarning, stacklevel=3)


def fits(optimizer: Any, objective: Any, model: PyTree) -> bool:
    """Whether a step on the points of an objective fits into memory; a warning where not."""
    if not hasattr(optimizer, "cost"):
        return True
    cost = optimizer.cost(objective, model, objective.batch())
    if cost is None or cost.fits:
        return True
    points = sum(rule.size for rule in objective.rules)
    warnings.warn(
        f"the residual is larger between the points, and more of them do not fit: a step on "
        f"{points:,} points takes {cost}, more than half of the memory.",
        UserWarning,
        stacklevel=3,
    )
    return False


def refined(watch: Watch, optimizer: Any, model: PyTree) -> bool:
    """Let points grow where the residual is larger between them; whether they did.

    Where more of them do not fit into memory they stay as they are for good.
    """
    before = watch.state
    if not watch.refine(model):
        return False
    if fits(optimizer, watch.objective, model):
        return True
    watch.restore(before)
    watch.grow = False
    return False


def check_start(
    objective: Any, model: PyTree, batch: PyTree, evaluate: Any = None, optimizer: Any = None
) -> None:
    """Raises ValueError, before the first step, for a run that cannot succeed.

    These are: a model without parameters, with complex ones, or of another precision than the
    points; terms or data that do not fit the model; an `evaluate` or an `optimizer` with a `check`
    that refuses the model or the objective; parameters or terms that are not finite. Warns of
    numbers that look like coefficients but stay fixed, of steps that take long, and of units that
    leave terms or coordinates without effect.
    """
    check_parameters(model)
    if hasattr(objective, "check"):
        objective.check(model, batch)
    if hasattr(evaluate, "check"):
        evaluate.check(model)
    if hasattr(optimizer, "check"):
        optimizer.check(model, objective)
    if optimizer is not None:
        warn_about_cost(optimizer, objective, model, batch)
    if isinstance(objective, AbstractObjective):
        warn_about_fixed(objective, model, batch)
        losses = finite_losses(objective, model, batch)
        for one in scaling_remarks(objective, model, batch, losses) if losses else []:
            warnings.warn(f"{one}.", UserWarning, stacklevel=3)


def finite_losses(objective: AbstractObjective, model: PyTree, batch: PyTree) -> list[float]:
    """The loss of every term; ValueError where one is not finite, with its name and the point."""
    if not objective.rules:
        return []
    masses = masses_of(objective, model, batch)
    found = _first_wrong(objective, masses, batch)
    if found is not None:
        name, where = found
        raise ValueError(
            f"the term '{name}' is not finite from the start, {where}: does it divide by "
            "zero or take a root or a logarithm there? Correct it, or take points elsewhere."
        )
    return [float(mass.sum()) for mass in masses]


def blame(objective: Any, model: PyTree, batch: PyTree) -> str | None:
    """The first term that is not finite at a model, and where; None where that cannot be told."""
    parameters = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    whole = all(np.isfinite(leaf).all() for leaf in parameters)
    if not whole or not isinstance(objective, AbstractObjective) or not objective.rules:
        return None
    found = _first_wrong(objective, masses_of(objective, model, batch), batch)
    return None if found is None else f"the term '{found[0]}' is not finite, {found[1]}"


def _first_wrong(objective: Any, masses: Any, batch: PyTree) -> tuple[str, str] | None:
    """Name and place of the first term that is not finite."""
    for name, mass, rule in zip(objective.term_names, masses, batch, strict=True):
        wrong = ~np.isfinite(mass)
        if wrong.any():
            first = np.asarray(rule.points[int(np.argmax(wrong))])
            return name, f"at {wrong.sum()} of its {wrong.size} points, first at {first}"
    return None


def loss_of(objective: Any, model: PyTree, batch: PyTree) -> float:
    value = eqx.filter_jit(type(objective).loss)(objective, model, batch)
    return float(value)


def batch_of(objective: Any, key: PRNGKeyArray, number: int) -> PyTree:
    """Batch `number` of the sequence that belongs to a key."""
    if hasattr(objective, "draw"):
        return objective.draw(key, number)
    return objective.batch(jax.random.fold_in(key, number))
