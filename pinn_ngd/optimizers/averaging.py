"""The mean of recent iterates as the answer of an optimizer."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from .. import _tree
from ..objectives import AbstractObjective
from .base import AbstractOptimizer, StepInfo


class AveragedState(eqx.Module):
    """The inner optimizer's state, the mean of the parameters, and how many entered it."""

    inner: PyTree
    mean: PyTree
    count: Int[Array, ""]


class Averaged(AbstractOptimizer):
    """Another optimizer's steps, unchanged, with the mean of its iterates as the answer.

    mean <- d mean + (1 - d) theta after each step, d = min(decay, (1 + k) / (10 + k)) at step k, so
    that the start is soon forgotten. The noise of minibatches, which a constant step size never
    loses, averages out (Polyak and Juditsky, SIAM J. Control Optim. 1992). Gradients are taken at
    the iterates; evaluation, pictures and the result of `train` see the mean.

    Raises ValueError for a decay outside 0 <= decay < 1.
    """

    inner: AbstractOptimizer
    decay: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.decay < 1:
            msg = f"`decay` of the average is {self.decay}; it must be at least 0 and below 1."
            raise ValueError(msg)

    @property
    def jittable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.jittable

    @property
    def stride(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.stride

    @property
    def wants_float64(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.wants_float64

    @property
    def stop_reasons(self) -> Mapping[int, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.stop_reasons

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> AveragedState:
        params, _ = _tree.trainable(model)
        inner = self.inner.init(model, objective, batch)
        return AveragedState(inner, params, jnp.asarray(0, jnp.int32))

    def step(
        self,
        model: PyTree,
        state: AveragedState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, AveragedState, StepInfo]:
        model, inner, info = self.inner.step(model, state.inner, objective, batch, key=key)
        params, _ = _tree.trainable(model)

        def mix(mean: Array, new: Array) -> Array:
            k = state.count.astype(new.dtype)
            kept = jnp.minimum(jnp.asarray(self.decay, new.dtype), (1 + k) / (10 + k))
            return kept * mean + (1 - kept) * new

        mean = jax.tree.map(mix, state.mean, params)
        return model, AveragedState(inner, mean, state.count + 1), info

    def answer(self, model: PyTree, state: AveragedState) -> PyTree:
        _, static = _tree.trainable(model)
        return eqx.combine(state.mean, static)
