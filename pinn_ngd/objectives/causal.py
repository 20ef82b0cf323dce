"""Causal weights: later times count little until the earlier ones are solved."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .residual import Residual, ResidualObjective
from .weights import REST, is_number
from .windows import is_initial, time_of


class InSlices(eqx.Module):
    """A weight times a factor that is constant on slices of time."""

    weight: Any
    start: Float[Array, ""]
    width: Float[Array, ""]
    factors: Float[Array, " slices"]

    def __call__(self, x: Float[Array, " d"]) -> Array:
        place = jnp.floor((x[0] - self.start) / self.width).astype(jnp.int32)
        factor = self.factors[jnp.clip(place, 0, self.factors.size - 1)]
        return factor * jnp.asarray(self.weight(x) if callable(self.weight) else self.weight)


def causal(
    objective: ResidualObjective, model: PyTree, strictness: float = 1.0, *, slices: int = 16
) -> ResidualObjective:
    """The objective with weights that let the residuals of `model` be solved in the order of time.

    The time interval is cut into `slices`. With L_k the loss of slice k over its duration, that of
    the initial terms coming before all, the weights in slice i are multiplied by

        w_i = exp(-strictness (L_initial + sum_{k < i} L_k)),

    which is near zero until everything before is solved, and then near one (Wang, Sankaran and
    Perdikaris 2024, arXiv:2203.07404). They belong to this model: make them anew every few steps.
    `causal_factors` returns the w_i. Initial terms keep their weights.

    Raises ValueError for no positive strictness, fewer than two slices, and objectives without
    time.
    """
    factors = causal_factors(objective, model, strictness, slices=slices)
    time = time_of(objective)
    start, width = jnp.asarray(time.a, float), jnp.asarray(time.measure / slices, float)

    def weighed(term: Any) -> Residual:
        if is_initial(term, time):
            return term
        if isinstance(term.weight, dict):
            every = {REST: jnp.asarray(1.0, float), **term.weight}
            weight: Any = {
                name: InSlices(one, start, width, factors) for name, one in every.items()
            }
        else:
            plain = term.weight
            weight = InSlices(
                jnp.asarray(plain, float) if is_number(plain) else plain, start, width, factors
            )
        return dataclasses.replace(term, weight=weight)

    return dataclasses.replace(objective, terms=tuple(weighed(term) for term in objective.terms))


def causal_factors(
    objective: ResidualObjective, model: PyTree, strictness: float = 1.0, *, slices: int = 16
) -> Float[Array, " slices"]:
    """The factors w_i of `causal`: near one everywhere where the evolution is solved."""
    if not strictness > 0 or slices < 2:
        raise ValueError(
            f"`strictness` = {strictness} and `slices` = {slices}: the former is positive, and "
            "there are two slices or more."
        )
    time = time_of(objective)
    batch = objective.batch(jax.random.key(0))
    losses = _point_losses(objective, model, batch)
    before, rates = 0.0, np.zeros(slices)
    for term, loss, rule in zip(objective.terms, losses, batch, strict=True):
        if is_initial(term, time):
            before += float(jnp.sum(loss))
            continue
        place = (np.asarray(rule.points)[:, 0] - time.a) * slices / time.measure
        place = np.clip(place.astype(int), 0, slices - 1)
        sums, weights = (
            np.bincount(place, np.asarray(values), slices) for values in (loss, rule.weights)
        )
        mean = np.divide(sums, weights, out=np.zeros(slices), where=weights > 0)
        rates += mean * weights.sum() / time.measure
    earlier = before + np.concatenate([[0.0], np.cumsum(rates)[:-1]])
    return jnp.asarray(np.exp(-strictness * earlier))


@eqx.filter_jit
def _point_losses(objective: ResidualObjective, model: PyTree, batch: Any) -> tuple[Array, ...]:
    return objective.point_losses(model, batch)
