"""Steps of a part of the rows first, then of all of them."""

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


class TwoPhaseState(eqx.Module):
    """The states of both kinds of steps, and how many were made."""

    part: SubsampledState
    whole: TrustRegionState
    count: Int[Array, ""]


class TwoPhase(AbstractOptimizer):
    """`first` steps of a part of the rows, then only steps of all of them.

    Steps of a part are cheap and make a rough solution good. Steps of all rows make a good one far
    better, since their error is not that of a sample, but the first few of them only bring the
    damping down. So they come in a row: single ones between steps of a part cost more than they
    bring, since the memory of earlier directions ends with each (docs/scale.md). The first starts
    from the best iterate of the others, `SubsampledState.best`.

    Refused steps of a part do not end the run, as a step of all rows may still succeed.
    """

    part: SubsampledTrustRegion = SubsampledTrustRegion()
    whole: TrustRegion = TrustRegion()
    first: Count = 100
    stride: ClassVar[int] = 1  # a step of all rows may take half a minute

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        self.part.check(model, objective)
        self.whole.check(model, objective)

    def cost(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> Cost:
        """The time of a step of a part, the memory of one of all rows."""
        part = self.part.cost(objective, model, batch)
        whole = self.whole.cost(objective, model, batch)
        return Cost(part.operations, max(part.bytes, whole.bytes))

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> TwoPhaseState:
        part = self.part.init(model, objective, batch)
        whole = self.whole.init(model, objective, batch)
        return TwoPhaseState(part, whole, jnp.asarray(0, jnp.int32))

    def step(
        self,
        model: PyTree,
        state: TwoPhaseState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, TwoPhaseState, StepInfo]:
        params, static = _tree.trainable(model)

        def part(params: PyTree, state: TwoPhaseState):
            start = eqx.combine(params, static)
            new, after, info = self.part.step(start, state.part, objective, batch, key=key)
            return _tree.trainable(new)[0], after, state.whole, _plain(info, jnp.int32(GO_ON))

        def whole(params: PyTree, state: TwoPhaseState):
            del params
            start = eqx.combine(state.part.best, static)
            new, after, info = self.whole.step(start, state.whole, objective, batch, key=key)
            params, _ = _tree.trainable(new)
            return params, _known(state.part, params, info), after, _plain(info, info.stop)

        found = jax.lax.cond(state.count < self.first, part, whole, params, state)
        params, few, all_of_them, info = found
        count = jnp.minimum(state.count + 1, self.first)
        return eqx.combine(params, static), TwoPhaseState(few, all_of_them, count), info

    def refreshed(self, state: TwoPhaseState) -> TwoPhaseState:
        """Both states refreshed."""
        part, whole = self.part.refreshed(state.part), self.whole.refreshed(state.whole)
        return TwoPhaseState(part, whole, state.count)

    def answer(self, model: PyTree, state: TwoPhaseState) -> PyTree:
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
