"""Steps of all rows now and then, between steps of a part of them."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count
from ...objectives import AbstractObjective
from ..base import GO_ON, AbstractOptimizer, StepInfo
from ..cost import Cost
from ..deterministic.trust_region import TrustRegion, TrustRegionState
from .subsampled import SubsampledState, SubsampledTrustRegion


class InterleavedState(eqx.Module):
    """The states of both kinds of steps, and how many were made."""

    part: SubsampledState
    whole: TrustRegionState
    count: Int[Array, ""]


class Interleaved(AbstractOptimizer):
    """`every` - 1 steps of a part of the rows, then one of all of them, and so on.

    Steps of a part are cheap and make a rough solution good; a step of all rows makes a good one
    far better, since its error is not that of a sample. It starts from the best iterate of the
    others, `SubsampledState.best`, and its result, whose loss is known, is the next best one.
    Where `every` is the ratio of their costs, half of the time goes to either kind.

    Refused steps of a part do not end the run, as a step of all rows may still succeed.
    """

    part: SubsampledTrustRegion = SubsampledTrustRegion()
    whole: TrustRegion = TrustRegion()
    every: Count = 100
    stride: ClassVar[int] = 5

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        self.part.check(model, objective)
        self.whole.check(model, objective)

    def cost(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> Cost:
        part = self.part.cost(objective, model, batch)
        whole = self.whole.cost(objective, model, batch)
        mean = ((self.every - 1) * part.operations + whole.operations) / self.every
        return Cost(mean, max(part.bytes, whole.bytes))

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> InterleavedState:
        part = self.part.init(model, objective, batch)
        whole = self.whole.init(model, objective, batch)
        return InterleavedState(part, whole, jnp.asarray(0, jnp.int32))

    def step(
        self,
        model: PyTree,
        state: InterleavedState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, InterleavedState, StepInfo]:
        params, static = _tree.trainable(model)

        def part(params: PyTree, state: InterleavedState):
            start = eqx.combine(params, static)
            new, after, info = self.part.step(start, state.part, objective, batch, key=key)
            return _tree.trainable(new)[0], after, state.whole, _plain(info, jnp.int32(GO_ON))

        def whole(params: PyTree, state: InterleavedState):
            del params
            start = eqx.combine(state.part.best, static)
            new, after, info = self.whole.step(start, state.whole, objective, batch, key=key)
            params, _ = _tree.trainable(new)
            return params, _known(state.part, params, info), after, _plain(info, info.stop)

        count = state.count + 1
        found = jax.lax.cond(count % self.every == 0, whole, part, params, state)
        params, few, all_of_them, info = found
        return eqx.combine(params, static), InterleavedState(few, all_of_them, count), info

    def refreshed(self, state: InterleavedState) -> InterleavedState:
        """Both states refreshed."""
        part, whole = self.part.refreshed(state.part), self.whole.refreshed(state.whole)
        return InterleavedState(part, whole, state.count)

    def answer(self, model: PyTree, state: InterleavedState) -> PyTree:
        """The best iterate, of either kind of steps."""
        return self.part.answer(model, state.part)


def _known(state: SubsampledState, params: PyTree, info: StepInfo) -> SubsampledState:
    """The state of the steps of a part after a step of all rows: its result is the best iterate,
    its loss is exact, and the memory of earlier directions belongs to another place."""
    nothing = _tree.zeros_like(state.direction)
    return SubsampledState(nothing, state.damping, jnp.zeros_like(state.refused), params, info.loss)


def _plain(info: StepInfo, stop: Array) -> StepInfo:
    """What both kinds of steps report."""
    return StepInfo(
        loss=info.loss,
        gradient_norm=info.gradient_norm,
        step_length=info.step_length,
        damping=info.damping,
        predicted=info.predicted,
        actual=info.actual,
        accepted=info.accepted,
        stop=jnp.asarray(stop, jnp.int32),
    )
