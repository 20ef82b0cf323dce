"""What a step leaves of the residual at points that it was not made for."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .. import _tree
from ..objectives import AbstractObjective
from .chunks import chunks
from .held_out import HeldOut
from .rounding import ROUNDING, moved


class PointsOfTest:
    """A model at points that no step was made for: its residual, and what rounding does to it.

    Both are evaluated once and serve every step that is tested.
    """

    def __init__(self, held: HeldOut, model: PyTree):
        self.held, self.model = held, model
        here, there = self._residuals(model), self._residuals(moved(model))
        self.before, self.rounding = (
            _squares(here),
            _squares(jax.tree.map(np.subtract, here, there)),
        )

    def unexplained(self, step: PyTree) -> float:
        """The largest |r - J d| / |r| of a term, for a step d of the parameters.

        A term that is tiny beside the others may still be the one that carries the error, so every
        term is asked, but for those of which d leaves no more than rounding error.
        """
        return self._largest_ratio(_squares(self._each(_linearized, self.model, step)))

    def left(self, corrected: PyTree) -> float | None:
        """The largest |r(v)| / |r(u)| of a term, of the model u corrected to v.

        None where a term asks the model for more than values and numbers, such as an unknown
        function, which a corrected model does not have.
        """
        try:
            return self._largest_ratio(_squares(self._residuals(corrected)))
        except AttributeError:
            return None

    def _largest_ratio(self, left: np.ndarray) -> float:
        last_digits = np.finfo(left.dtype).eps ** 2 * self.before.sum()
        asked = ~(left <= ROUNDING * (self.rounding + last_digits))
        with np.errstate(divide="ignore"):  # a term without any residual that gets one
            return float(np.sqrt(np.max(left[asked] / self.before[asked], initial=0.0)))

    def _residuals(self, model: PyTree) -> list[PyTree]:
        return self._each(_residuals, model)

    def _each(self, function: Any, *arguments: Any) -> list[PyTree]:
        """What a function returns for every chunk of the points, as NumPy arrays."""
        objective, batches = self.held.objective, chunks(self.held.batch)
        parts = (function(objective, part, *arguments) for part in batches)
        return [jax.tree.map(np.asarray, part) for part in parts]


@eqx.filter_jit
def _residuals(objective: AbstractObjective, batch: Any, model: PyTree) -> PyTree:
    """r, a block a term."""
    return objective.evaluate(model, batch).right_hand_side


@eqx.filter_jit
def _linearized(objective: AbstractObjective, batch: Any, model: PyTree, step: PyTree) -> PyTree:
    """r - J d, a block a term."""
    params, static = _tree.trainable(model)

    def residuals(q: PyTree) -> PyTree:
        return objective.evaluate(eqx.combine(q, static), batch).right_hand_side

    r, change = jax.jvp(residuals, (params,), (step,))
    return _tree.subtract(r, change)


def _squares(chunks: list[PyTree]) -> np.ndarray:
    """|.|^2 by terms, summed over all chunks."""
    parts = [[np.vdot(block, block) for block in jax.tree.leaves(chunk)] for chunk in chunks]
    return np.sum(np.asarray(parts), axis=0)
