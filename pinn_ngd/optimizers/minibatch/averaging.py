"""The mean of recent iterates as the answer of an optimizer."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Fraction
from ...objectives import AbstractObjective
from ..base import AbstractOptimizer, StepInfo


class AveragedState(eqx.Module):
    """The inner optimizer's state, the mean of the parameters, and how many entered it."""

    inner: PyTree
    mean: PyTree
    count: Int[Array, ""]


class Averaged(AbstractOptimizer):
    """Another optimizer's steps, unchanged, with the mean of its iterates as the answer.

    mean <- d mean + (1 - d) theta. Here theta are the parameters that step k starts from, so that
    no iterate enters whose loss is not known to be finite, and d = min(decay, (1 + k) / (10 + k)),
    so that the first iterates are soon forgotten. With a constant step size the iterates never lose
    the noise of minibatches; their mean over about 1 / (1 - decay) steps has less of it
    (exponential form of the averaging of Polyak and Juditsky, SIAM J. Control Optim. 1992).
    Gradients are taken at the iterates. Evaluation, pictures, `load_model` of a checkpoint and the
    result of `train` take the mean.

    Raises ValueError for a decay outside 0 <= decay < 1.
    """

    inner: AbstractOptimizer
    decay: Fraction = eqx.field(static=True)

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
    def shares_examples(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.shares_examples

    def check_parts(self, size: int, devices: int) -> None:
        """As that of the inner optimizer."""
        self.inner.check_parts(size, devices)

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
        params, _ = _tree.trainable(model)
        new, inner, info = self.inner.step(model, state.inner, objective, batch, key=key)

        def mix(mean: Array, theta: Array) -> Array:
            k = state.count.astype(theta.dtype)
            kept = jnp.minimum(jnp.asarray(self.decay, theta.dtype), (1 + k) / (10 + k))
            return kept * mean + (1 - kept) * theta

        mean = jax.tree.map(mix, state.mean, params)
        return new, AveragedState(inner, mean, state.count + 1), info

    def answer(self, model: PyTree, state: AveragedState) -> PyTree:
        _, static = _tree.trainable(model)
        return eqx.combine(state.mean, static)
