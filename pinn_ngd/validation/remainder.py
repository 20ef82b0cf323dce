"""What a step leaves of the residual at points that it was not made for."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..objectives import AbstractObjective
from .chunks import chunks
from .held_out import HeldOut
from .rounding import ROUNDING, rounded


class PointsOfTest:
    """A model at points that no step was made for: its residual, and what rounding does to it.

    Both are evaluated once and serve every step that is tested.
    """

    def __init__(self, held: HeldOut, model: PyTree):
        self.held, self.model = held, model
        self.before = self._sum(_sizes, model)
        self.rounding = self._sum(_noise, model)

    def unexplained(self, step: PyTree) -> float:
        """The largest |r - J d| / |r| of a term, for a step d of the parameters.

        A term that is tiny beside the others may still be the one that carries the error, so every
        term is asked, but for those of which d leaves no more than rounding error.
        """
        return self._largest_ratio(self._sum(_linearized, self.model, step))

    def left(self, corrected: PyTree) -> float | None:
        """The largest |r(v)| / |r(u)| of a term, of the model u corrected to v.

        None where a term asks the model for more than values and numbers, such as an unknown
        function, which a corrected model does not have.
        """
        try:
            return self._largest_ratio(self._sum(_sizes, corrected))
        except AttributeError:
            return None

    def _largest_ratio(self, left: np.ndarray) -> float:
        last_digits = np.finfo(left.dtype).eps ** 2 * self.before.sum()
        asked = ~(left <= ROUNDING * (self.rounding + last_digits))
        with np.errstate(divide="ignore"):  # a term without any residual that gets one
            return float(np.sqrt(np.max(left[asked] / self.before[asked], initial=0.0)))

    def _sum(self, squares: Any, *arguments: Any) -> np.ndarray:
        """Squares by terms, summed over all chunks of the points."""
        parts = [squares(self.held.objective, part, *arguments) for part in chunks(self.held.batch)]
        return np.sum(np.asarray(parts), axis=0)


@eqx.filter_jit
def _linearized(
    objective: AbstractObjective, batch: Any, model: PyTree, step: PyTree
) -> Float[Array, " terms"]:
    """|r - J d|^2 by terms."""
    residuals, params = _of_parameters(objective, model, batch)
    r, change = jax.jvp(residuals, (params,), (step,))
    return _squares(_tree.subtract(r, change))


@eqx.filter_jit
def _noise(objective: AbstractObjective, batch: Any, model: PyTree) -> Float[Array, " terms"]:
    """The square of what rounding the parameters does to the residual, by terms."""
    residuals, params = _of_parameters(objective, model, batch)
    return _squares(_tree.subtract(residuals(rounded(params)), residuals(params)))


@eqx.filter_jit
def _sizes(objective: AbstractObjective, batch: Any, model: PyTree) -> Float[Array, " terms"]:
    """|r|^2 by terms."""
    return _squares(objective.evaluate(model, batch).right_hand_side)


def _of_parameters(objective: AbstractObjective, model: PyTree, batch: Any) -> tuple[Any, PyTree]:
    params, static = _tree.trainable(model)

    def residuals(q: PyTree) -> PyTree:
        return objective.evaluate(eqx.combine(q, static), batch).right_hand_side

    return residuals, params


def _squares(blocks: PyTree) -> Float[Array, " terms"]:
    return jnp.stack([_tree.dot(block, block) for block in jax.tree.leaves(blocks)])
