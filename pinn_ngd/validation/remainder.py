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


def unexplained_by(held: HeldOut, model: PyTree, step: PyTree) -> float:
    """The largest |r - J d| / |r| of a term at the test points, for a step d of the parameters.

    A term that is tiny beside the others may still be the one that carries the error, so every
    term is asked, but for those of which d leaves no more than rounding error.
    """
    parts = [_linearized(held.objective, model, part, step) for part in chunks(held.batch)]
    before, left = _summed(parts).T
    return _largest_ratio(before, left, _rounding(held, model))


def left_by(held: HeldOut, model: PyTree, corrected: PyTree) -> float | None:
    """The largest |r(v)| / |r(u)| of a term at the test points, of a model u corrected to v.

    None where a term asks the model for more than its values, such as an unknown coefficient, which
    a corrected function does not have.
    """
    try:
        after = [_sizes(held.objective, corrected, part) for part in chunks(held.batch)]
    except AttributeError:
        return None
    before = [_sizes(held.objective, model, part) for part in chunks(held.batch)]
    return _largest_ratio(_summed(before), _summed(after), _rounding(held, model))


def _largest_ratio(before: np.ndarray, left: np.ndarray, rounding: np.ndarray) -> float:
    last_digits = np.finfo(before.dtype).eps ** 2 * before.sum()
    asked = ~(left <= ROUNDING * (rounding + last_digits))
    return float(np.sqrt(np.max(left[asked] / before[asked], initial=0.0)))


def _rounding(held: HeldOut, model: PyTree) -> np.ndarray:
    """The square of what rounding the parameters does to the residual, by terms."""
    parts = [_noise(held.objective, model, part) for part in chunks(held.batch)]
    return _summed(parts)


def _summed(parts: list[Array]) -> np.ndarray:
    return np.sum(np.asarray(parts), axis=0)


@eqx.filter_jit
def _linearized(
    objective: AbstractObjective, model: PyTree, batch: Any, step: PyTree
) -> Float[Array, "terms 2"]:
    """|r|^2 and |r - J d|^2 by terms."""
    residuals, params = _of_parameters(objective, model, batch)
    r, change = jax.jvp(residuals, (params,), (step,))
    return jnp.stack([_squares(r), _squares(_tree.subtract(r, change))], axis=1)


@eqx.filter_jit
def _noise(objective: AbstractObjective, model: PyTree, batch: Any) -> Float[Array, " terms"]:
    residuals, params = _of_parameters(objective, model, batch)
    return _squares(_tree.subtract(residuals(rounded(params)), residuals(params)))


@eqx.filter_jit
def _sizes(objective: AbstractObjective, model: PyTree, batch: Any) -> Float[Array, " terms"]:
    return _squares(objective.evaluate(model, batch).right_hand_side)


def _of_parameters(objective: AbstractObjective, model: PyTree, batch: Any) -> tuple[Any, PyTree]:
    params, static = _tree.trainable(model)

    def residuals(q: PyTree) -> PyTree:
        return objective.evaluate(eqx.combine(q, static), batch).right_hand_side

    return residuals, params


def _squares(blocks: PyTree) -> Float[Array, " terms"]:
    return jnp.stack([_tree.dot(block, block) for block in jax.tree.leaves(blocks)])
