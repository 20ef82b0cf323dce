"""How small a loss can become before it is rounding error."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _tree
from ..objectives import AbstractObjective, Evaluation

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
    before, after = (_evaluated(objective, m, batch) for m in (model, moved(model)))
    if is_gradient(before.right_hand_side, _tree.trainable(model)[0]):
        return Rounding(abs(float(after.loss) - float(before.loss)), of_residuals=False)
    blocks = (jax.tree.leaves(evaluation.right_hand_side) for evaluation in (before, after))
    changes = (np.asarray(there) - np.asarray(here) for here, there in zip(*blocks, strict=True))
    return Rounding(0.5 * sum(float(np.vdot(c, c)) for c in changes), of_residuals=True)


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
def _evaluated(objective: AbstractObjective, model: PyTree, batch: PyTree) -> Evaluation:
    return objective.evaluate(model, batch)


def moved(model: PyTree) -> PyTree:
    """A model with changes in the last digits of its parameters, theta (1 + eps xi) with random
    signs xi.

    They are drawn outside of compiled functions: the same function then serves the model before and
    after, and JAX's generators take long to compile.
    """
    params, static = _tree.trainable(model)
    generator = np.random.default_rng(0)

    def change(leaf: Array) -> Array:
        noise = float(jnp.finfo(leaf.dtype).eps) * generator.choice([-1.0, 1.0], leaf.shape)
        return jnp.asarray(np.asarray(leaf) * (1 + noise), leaf.dtype)

    return eqx.combine(jax.tree.map(change, params), static)
