"""Units that make a problem hard for no reason: found before the first step."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import Quadrature
from ..objectives import AbstractObjective, ResidualObjective, term_sizes
from ..objectives.observations import is_data
from .estimate import is_pointwise

SMALLEST_TERM = 1e-6  # of the largest; healthy problems have 1e-4 and more
SUSPECT = 1e-5  # of the largest term's loss: below, the sizes of terms are looked at
FAR = 50.0  # times: a side of the domain, or its distance from zero in sides
FELT = 0.02  # of the variation of the model, by a whole side of the domain


def scaling_remarks(
    objective: AbstractObjective, model: PyTree, batch: Any, losses: Sequence[float]
) -> list[str]:
    """What the units of a problem do to it, in sentences with a cure each; empty where all is well.

    Looked at are the sizes of the terms against each other (`term_sizes`), where their `losses`
    give reason to, and coordinates far from one that the model does not normalize.
    """
    remarks = []
    if isinstance(objective, ResidualObjective):
        suspect = min(losses) < SUSPECT * max(losses) and _is_weighed_freely(objective)
        remarks += _of_terms(term_sizes(objective, model)) if suspect else []
    if batch and all(isinstance(part, Quadrature) for part in batch):
        largest = max(batch, key=lambda part: part.points.shape[0])
        if is_pointwise(model, largest):
            remarks += _of_inputs(model, largest.points)
    return remarks


def _is_weighed_freely(objective: ResidualObjective) -> bool:
    """Whether weights are a matter of choice: beside measurements they say what is known."""
    return not any(is_data(term) for term in objective.terms)


def _of_terms(sizes: dict[str, float]) -> list[str]:
    largest = max(sizes, key=lambda name: sizes[name])
    small = [name for name in sizes if 0 < sizes[name] < SMALLEST_TERM * sizes[largest]]
    return [
        f"the term '{name}' feels the parameters {sizes[name] / sizes[largest]:.0e} times as much "
        f"as '{largest}' does, and may be lost in its rounding: balance the terms "
        "(`objectives.balanced`, --balance) or give it a larger `weight`"
        for name in small
    ]


def _of_inputs(model: Callable, points: Float[Array, "n d"]) -> list[str]:
    lower, upper = np.min(points, axis=0), np.max(points, axis=0)
    sides = np.where(upper > lower, upper - lower, 1.0)
    extreme = (sides > FAR) | (sides < 1 / FAR) | (np.abs(lower + upper) / 2 > FAR * sides)
    if not extreme.any():
        return []
    felt = np.asarray(_felt(model, points[:512], jnp.asarray(sides)))
    return [
        f"coordinate {i} runs from {lower[i]:g} to {upper[i]:g}, and the model hardly feels it: "
        "normalize it (`models.Normalized(net, domain=...)`, --normalize), or "
        "choose units in which it is of order one"
        for i in np.flatnonzero(extreme)
        if not FELT < felt[i] < 1 / FELT
    ]


@eqx.filter_jit
def _felt(model: Callable, points: Float[Array, "n d"], sides: Float[Array, " d"]) -> Array:
    """The change of the model across each side, against its deviation over the points."""
    values = jax.vmap(model)(points)
    slopes = jax.vmap(jax.jacfwd(model))(points)
    deviation = jnp.sqrt(jnp.mean(jnp.abs(values - jnp.mean(values, axis=0)) ** 2))
    axes = tuple(range(slopes.ndim - 1))
    return jnp.sqrt(jnp.mean(jnp.abs(slopes) ** 2, axis=axes)) * sides / deviation
