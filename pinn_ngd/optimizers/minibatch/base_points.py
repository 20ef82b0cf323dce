"""Where the metric of a step is measured: at the iterate, or at another point with its own rule.

A step theta <- theta - rate F(zeta)^-1 g(theta) takes the gradient at the iterate theta and the
metric at the base point zeta. Where zeta converges whatever theta does, F stays bounded and the
step is a stochastic approximation in a fixed metric in the end (Sanchez-Lopez and Cerquides 2020).
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from ... import _tree
from ..._settings import Count, Fraction, Positive, check_fields
from ...families import Distribution
from ...metrics.dually_flat import checked_distribution
from ...objectives import AbstractObjective
from ..base import scalar_type

HALVINGS = 30


class AbstractBasePoint(eqx.Module):
    """A rule for the base point zeta: a state, the point in it, and the state after a batch."""

    def __check_init__(self):
        check_fields(self)

    @abc.abstractmethod
    def init(self, model: PyTree) -> PyTree:
        """The state before the first step; ValueError for a model that it cannot be of."""

    @abc.abstractmethod
    def point(self, state: PyTree, model: PyTree) -> PyTree:
        """zeta of this step, a model; `model` itself where the metric is that of the iterate."""

    @abc.abstractmethod
    def moved(
        self, state: PyTree, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> PyTree:
        """The state of the next step, `model` being the iterate before this one."""


class Iterate(AbstractBasePoint):
    """zeta = theta: the natural gradient as it is mostly meant."""

    def init(self, model: PyTree) -> tuple[()]:
        del model
        return ()

    def point(self, state: PyTree, model: PyTree) -> PyTree:
        del state
        return model

    def moved(
        self, state: PyTree, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> PyTree:
        del model, objective, batch
        return state


class Kept(eqx.Module):
    """The parameters of a base point, and the number of steps."""

    params: PyTree
    count: Int[Array, ""]


class AbstractKept(AbstractBasePoint):
    """A base point whose state are its parameters, at first those of the start."""

    def init(self, model: PyTree) -> Kept:
        params, _ = _tree.trainable(model)
        return Kept(params, jnp.asarray(0, jnp.int32))

    def point(self, state: Kept, model: PyTree) -> PyTree:
        _, static = _tree.trainable(model)
        return eqx.combine(state.params, static)


class Renewed(AbstractKept):
    """The iterate of the last step whose number is a multiple of `every`; the start where None."""

    every: Count | None = eqx.field(static=True, default=None)

    def point(self, state: Kept, model: PyTree) -> PyTree:
        params, static = _tree.trainable(model)
        if self.every is None:
            return super().point(state, model)
        return eqx.combine(_tree.where(state.count % self.every == 0, params, state.params), static)

    def moved(
        self, state: Kept, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> Kept:
        del objective, batch
        params, _ = _tree.trainable(self.point(state, model))
        return Kept(params, state.count + 1)


class MeanIterate(AbstractKept):
    """The mean of the iterates before, zeta <- d zeta + (1 - d) theta, d = min(decay, k / (k + 1))
    in step k, so that it is their plain mean at first."""

    decay: Fraction = eqx.field(static=True, default=0.99)

    def moved(
        self, state: Kept, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> Kept:
        del objective, batch
        params, _ = _tree.trainable(model)

        def mix(mean: Array, theta: Array) -> Array:
            k = state.count.astype(theta.dtype)
            kept = jnp.minimum(jnp.asarray(self.decay, theta.dtype), k / (k + 1))
            return kept * mean + (1 - kept) * theta

        return Kept(jax.tree.map(mix, state.params, params), state.count + 1)


class AuxiliaryDescent(AbstractKept):
    """zeta <- zeta - c / (c + k) gradient(zeta): plain descent on the same batches, on its own.

    It converges to the optimum whatever the iterates do, slowly. c is `horizon`, 1000 in the
    authors' experiments. The first rates are about one, which is far too long for features that are
    not of the size of one. In a family with a cone a step is therefore halved until it stays
    inside, KL(old | new) of the distributions is at most one nat, and the loss of its batch does
    not rise. It is left out where 30 halvings do not suffice.
    """

    horizon: Positive = eqx.field(static=True, default=1000.0)

    def moved(
        self, state: Kept, model: PyTree, objective: AbstractObjective, batch: PyTree
    ) -> Kept:
        _, static = _tree.trainable(model)

        def loss(params: PyTree) -> Scalar:
            return objective.loss(eqx.combine(params, static), batch)

        before, gradient = jax.value_and_grad(loss)(state.params)
        count = state.count.astype(scalar_type(model))
        rate = self.horizon / (self.horizon + count)
        step = jax.tree.map(lambda g: rate.astype(g.dtype) * g, gradient)
        new = _tree.subtract(state.params, step)
        if isinstance(model, Distribution) and model.family.has_cone:
            old = eqx.combine(state.params, static).natural

            def good(params: PyTree) -> Bool[Array, ""]:
                new = eqx.combine(params, static).natural
                near = model.family.divergence(old, new) <= 1
                return model.family.contains(new) & near & (loss(params) <= before)

            new = _shortened(good, state.params, step)
        return Kept(new, state.count + 1)


def _shortened(good: Callable[[PyTree], Bool[Array, ""]], params: PyTree, step: PyTree) -> PyTree:
    """`params` - step, the step halved until the result is good; `params` where it never is."""

    def at(count: Int[Array, ""]) -> PyTree:
        return jax.tree.map(lambda q, s: q - s * 0.5 ** count.astype(s.dtype), params, step)

    def goes_on(count: Int[Array, ""]) -> Bool[Array, ""]:
        return ~good(at(count)) & (count <= HALVINGS)

    count = jax.lax.while_loop(goes_on, lambda count: count + 1, jnp.asarray(0, jnp.int32))
    return _tree.where(count <= HALVINGS, at(count), params)


class Statistics(eqx.Module):
    """The mean of the statistics seen so far, and how many values it counts."""

    mean: PyTree
    weight: Float[Array, ""]


class RunningStatistics(AbstractBasePoint):
    """zeta with eta(zeta) = the mean of the statistics T of all examples of the batches before.

    That is the member of the family of largest likelihood. The start counts as `weight` examples,
    by default one more than there are parameters: for outcomes of a die, one of each. So every
    expectation stays inside of the family.
    """

    weight: Positive | None = eqx.field(static=True, default=None)

    def init(self, model: PyTree) -> Statistics:
        model = checked_distribution(model)
        weight = model.family.size + 1 if self.weight is None else self.weight
        return Statistics(model.expectation, jnp.asarray(weight, scalar_type(model)))

    def point(self, state: Statistics, model: Distribution) -> Distribution:
        return model.at(state.mean)

    def moved(
        self,
        state: Statistics,
        model: Distribution,
        objective: AbstractObjective,
        batch: Any,
    ) -> Statistics:
        del objective
        found = jax.vmap(model.example_statistics)(batch.inputs, batch.targets)
        weight = state.weight + batch.size

        def mix(mean: Array, t: Array) -> Array:
            share = (batch.size / weight).astype(mean.dtype)
            return mean + share * (jnp.mean(t.astype(mean.dtype), axis=0) - mean)

        return Statistics(jax.tree.map(mix, state.mean, found), weight)
