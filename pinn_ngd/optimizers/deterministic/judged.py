"""What a step along one direction was worth, and what follows for the damping and for the run."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from ... import _tree
from ...objectives import AbstractObjective, Evaluation
from ..base import GO_ON, NO_STEP_HELPS, STATIONARY, StepInfo
from ..damping import AbstractDamping
from .line_search import AbstractLineSearch

PATIENCE = 20  # refused steps in a row that end a run on fixed points


class Judged(eqx.Module):
    """The step theta - `step`, what the loss fell by, and whether it is taken."""

    step: PyTree
    actual: Float[Array, ""]
    accepted: Bool[Array, ""]


class Descending(eqx.Module):
    """An objective at one model, along directions -d."""

    objective: AbstractObjective
    model: PyTree
    batch: PyTree
    before: Evaluation
    gradient: PyTree

    def reduction(self, step: PyTree) -> Float[Array, ""]:
        """loss(theta) - loss(theta - step)."""
        after = self.objective.evaluate(_tree.move(self.model, step), self.batch)
        return self.objective.reduction(self.before, after, step)

    def searched(self, direction: PyTree, search: AbstractLineSearch) -> Judged:
        """The step of the search; none where no length lowers the loss."""
        slope = _tree.dot(self.gradient, direction)
        t, gain, accepted, _ = search(
            lambda t: self.reduction(_tree.scale(t, direction)),
            _tree.norm(direction),
            lambda t: t * slope,
        )
        zero = _tree.zeros_like(direction)
        step = _tree.where(accepted, _tree.scale(t, direction), zero)
        return Judged(step, jnp.where(accepted, gain, jnp.zeros_like(gain)), accepted)

    def report(
        self,
        judged: Judged,
        predicted: Float[Array, ""],
        damping: Float[Array, ""],
        refused: Int[Array, ""],
        **more: Any,
    ) -> StepInfo:
        """The record of a step; `refused` counts the refused ones in a row, this one included."""
        gradient_norm = _tree.norm(self.gradient)
        hopeless = (refused >= PATIENCE) & (not self.objective.resampled)
        stop = jnp.where(hopeless, NO_STEP_HELPS, GO_ON)
        return StepInfo(
            loss=self.before.loss - judged.actual,
            gradient_norm=gradient_norm,
            step_length=_tree.norm(judged.step),
            damping=damping,
            predicted=predicted,
            actual=judged.actual,
            accepted=judged.accepted,
            stop=jnp.where(gradient_norm == 0, STATIONARY, stop).astype(jnp.int32),
            **more,
        )


def next_damping(
    rule: AbstractDamping,
    damping: Float[Array, ""],
    judged: Judged,
    predicted: Float[Array, ""],
) -> Float[Array, ""]:
    """What the rule makes of the ratio of both reductions; a refused step is a failure."""
    sound = judged.accepted & (predicted > 0)
    safe = jnp.where(sound, predicted, jnp.ones_like(predicted))
    return rule.update(damping, jnp.where(sound, judged.actual / safe, -jnp.inf))


def counted(refused: Int[Array, ""], judged: Judged) -> Int[Array, ""]:
    """The number of refused steps in a row."""
    return jnp.where(judged.accepted, 0, refused + 1).astype(jnp.int32)
