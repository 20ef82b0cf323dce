"""Functions in which the error of a model is looked for: tangent spaces of networks."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .. import _tree


class Tangent(eqx.Module):
    """x -> d/dt u_{theta + t d}(x) at t = 0: how a step d of the parameters changes the model."""

    model: PyTree
    step: PyTree

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.along(lambda model: model(x))[1]

    def along(self, of: Callable[[PyTree], Any]) -> tuple[Any, Any]:
        """`of(model)`, and its derivative along the step."""
        params, static = _tree.trainable(self.model)
        return jax.jvp(lambda q: of(eqx.combine(q, static)), (params,), (self.step,))


class TangentSum(eqx.Module):
    """x -> sum_i d/dt v_i(x; theta_i + t d_i) at t = 0, a function in several tangent spaces.

    Each of `groups` holds models of one structure, their parameters stacked along a first axis,
    as are the steps.
    """

    groups: tuple[PyTree, ...]
    steps: tuple[PyTree, ...]

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        pairs = zip(self.groups, self.steps, strict=True)
        values = [_sum_along(group, steps, x) for group, steps in pairs]
        return sum(values[1:], start=values[0])


def _sum_along(group: PyTree, steps: PyTree, x: Array) -> Array:
    params, static = _tree.trainable(group)

    def change(q: PyTree, step: PyTree) -> Array:
        return Tangent(eqx.combine(q, static), step)(x)

    return jnp.sum(jax.vmap(change)(params, steps), axis=0)


class Enriched(eqx.Module):
    """A model plus a function of several tangent spaces; its parameters are their steps."""

    function: Any
    steps: tuple[PyTree, ...]

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.function(x, self.steps)


def enriched(model: PyTree, groups: tuple[PyTree, ...]) -> Enriched:
    """The model, able to change along the tangent spaces of groups of models; not changed yet.

    To be called where the result is used up, within one compiled function: all models are kept in
    a closure, so that only the steps count as parameters.
    """
    steps = tuple(_tree.zeros_like(_tree.trainable(group)[0]) for group in groups)
    return Enriched(lambda x, steps: model(x) + TangentSum(groups, steps)(x), steps)


def alone(model: PyTree) -> PyTree:
    """A group of one model."""
    params, static = _tree.trainable(model)
    return eqx.combine(jax.tree.map(lambda leaf: leaf[None], params), static)


def relatives(model: PyTree, count: int, key: PRNGKeyArray) -> PyTree:
    """A group of models with other parameters: normal, as large as those of the same leaf.

    They keep what a model does to its parameters by construction (boundary values, scales).
    """
    params, static = _tree.trainable(model)
    leaves, structure = jax.tree.flatten(params)
    drawn = [
        jnp.sqrt(jnp.mean(leaf**2)) * jax.random.normal(k, (count, *leaf.shape), leaf.dtype)
        for k, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, drawn), static)
