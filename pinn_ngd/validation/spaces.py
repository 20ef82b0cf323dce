"""Functions in which the error of a model is looked for: tangent spaces of networks."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import _tree

Models = tuple[PyTree, ...]


class Tangent(eqx.Module):
    """x -> d/dt u_{theta + t d}(x) at t = 0: how a step d of the parameters changes the model."""

    model: PyTree
    step: PyTree

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        params, static = _tree.trainable(self.model)
        return jax.jvp(lambda q: eqx.combine(q, static)(x), (params,), (self.step,))[1]


class TangentSum(eqx.Module):
    """x -> sum_i d/dt v_i(x; theta_i + t d_i): a function in the tangent spaces of several models."""

    tangents: tuple[Tangent, ...]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        values = [tangent(x) for tangent in self.tangents]
        return sum(values[1:], start=values[0])


class _Enriched(eqx.Module):
    """A model plus a function of the tangent spaces of others; its parameters are their steps."""

    function: Any
    steps: tuple[PyTree, ...]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*k"]:
        return self.function(x, self.steps)


def enriched(models: Models) -> PyTree:
    """The first model, able to change along the tangent spaces of all; not changed yet.

    To be called where the result is used up, within one compiled function: the models are kept in
    a closure, so that only the steps count as parameters.
    """
    steps = tuple(_tree.zeros_like(_tree.trainable(model)[0]) for model in models)

    def function(x: Array, steps: tuple[PyTree, ...]) -> Array:
        return models[0](x) + tangent_sum(models, steps)(x)

    return _Enriched(function, steps)


def tangent_sum(models: Models, steps: tuple[PyTree, ...]) -> TangentSum:
    """The sum of what every model changes by along its step."""
    return TangentSum(tuple(Tangent(*pair) for pair in zip(models, steps, strict=True)))


def relatives(model: PyTree, count: int, key: PRNGKeyArray) -> Models:
    """Models of the same structure with other parameters: normal, as large as those of a leaf.

    They keep what a model does to its parameters by construction (boundary values, scales).
    """
    return tuple(_relative(model, k) for k in jax.random.split(key, count))


@eqx.filter_jit
def _relative(model: PyTree, key: PRNGKeyArray) -> PyTree:
    params, static = _tree.trainable(model)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jnp.sqrt(jnp.mean(leaf**2)) * jax.random.normal(k, leaf.shape, leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, drawn), static)
