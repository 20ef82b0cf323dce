"""How small a loss can become before it is rounding error."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..objectives import AbstractObjective

ROUNDING = 1e3  # times what the last digits of the parameters do to a loss: not told from zero


class Rounding(NamedTuple):
    """A loss that cannot be told from zero, and whether the objective is a sum of squares.

    The least value of an energy is not known: there it is a change of the loss that counts.
    """

    level: float
    of_residuals: bool


def rounding_level(objective: AbstractObjective, model: PyTree, batch: PyTree) -> Rounding:
    """What changes of the parameters in their last digit make of the loss.

    For residuals b: 1/2 |b(theta (1 + eps xi)) - b(theta)|^2 with standard normal xi, the loss that
    a perfect model would have after its parameters were rounded. For energies, whose right-hand
    side is a gradient, the change of the energy.
    """
    level = float(_level(objective, model, batch))
    return Rounding(level, not is_energy(objective, model, batch))


def is_energy(objective: AbstractObjective, model: PyTree, batch: PyTree) -> bool:
    """Whether an objective answers to a step with its gradient, and not with residuals."""
    found = eqx.filter_eval_shape(objective.evaluate, model, batch).right_hand_side
    return is_gradient(found, _tree.trainable(model)[0])


def is_gradient(right_hand_side: PyTree, params: PyTree) -> bool:
    """Whether what a step answers to has the shape of the parameters: an energy's gradient."""
    if jax.tree.structure(right_hand_side) != jax.tree.structure(params):
        return False
    pairs = zip(jax.tree.leaves(right_hand_side), jax.tree.leaves(params), strict=True)
    return all(found.shape == leaf.shape for found, leaf in pairs)


@eqx.filter_jit
def _level(objective: AbstractObjective, model: PyTree, batch: PyTree) -> Float[Array, ""]:
    params, static = _tree.trainable(model)
    moved = eqx.combine(rounded(params), static)
    before, after = objective.evaluate(model, batch), objective.evaluate(moved, batch)
    if is_gradient(before.right_hand_side, params):
        return jnp.abs(after.loss - before.loss)
    change = _tree.subtract(after.right_hand_side, before.right_hand_side)
    return 0.5 * _tree.dot(change, change)


def rounded(params: PyTree) -> PyTree:
    """The parameters with changes in their last digits, theta (1 + eps xi), xi standard normal."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(0), max(len(leaves), 1))
    changed = [
        leaf + jnp.finfo(leaf.dtype).eps * leaf * jax.random.normal(key, leaf.shape, leaf.dtype)
        for leaf, key in zip(leaves, keys, strict=False)
    ]
    return jax.tree.unflatten(structure, changed)
