"""How small a loss can become before it is rounding error."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..objectives import AbstractObjective


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
    found = eqx.filter_eval_shape(objective.evaluate, model, batch).right_hand_side
    gradient = jax.tree.structure(_tree.trainable(model)[0]) == jax.tree.structure(found)
    return Rounding(float(_level(objective, model, batch)), not gradient)


@eqx.filter_jit
def _level(objective: AbstractObjective, model: PyTree, batch: PyTree) -> Float[Array, ""]:
    params, _ = _tree.trainable(model)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(0), max(len(leaves), 1))
    changes = [
        jnp.finfo(leaf.dtype).eps * leaf * jax.random.normal(key, leaf.shape, leaf.dtype)
        for leaf, key in zip(leaves, keys, strict=False)
    ]
    moved = _tree.move(model, jax.tree.unflatten(structure, changes))
    before, after = objective.evaluate(model, batch), objective.evaluate(moved, batch)
    if jax.tree.structure(before.right_hand_side) == structure:  # a gradient, not residuals
        return jnp.abs(after.loss - before.loss)
    change = _tree.subtract(after.right_hand_side, before.right_hand_side)
    return 0.5 * _tree.dot(change, change)
