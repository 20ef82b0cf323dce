"""Linear systems at held-out points, formed in chunks."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import _tree
from ..linalg import JacobianRows, LeastSquaresSystem
from ..objectives import AbstractObjective
from .chunks import chunks
from .held_out import AsGiven, HeldOut
from .spaces import enriched

Groups = tuple[PyTree, ...]


def held_out_system(
    held: HeldOut | AsGiven, model: PyTree, groups: Groups = ()
) -> LeastSquaresSystem:
    """The system of all held-out points as one matrix, without its rows of zeros.

    Its unknowns are a step of the model's parameters, or steps of all members of `groups`.
    """
    parts = [_chunk_rows(held.objective, model, groups, part) for part in chunks(held.batch)]
    matrix = np.concatenate([np.asarray(rows) for rows, _, _ in parts])
    kept = np.any(matrix != 0, axis=1)
    kept[0] = True  # a system has a row
    params = jax.eval_shape(lambda: _tree.trainable(_variable(model, groups))[0])
    out = jax.ShapeDtypeStruct((int(kept.sum()),), matrix.dtype)
    operator = JacobianRows(jnp.asarray(matrix[kept]), params, out)
    if parts[0][1] is None:
        return LeastSquaresSystem(operator, gradient=_sum([g for *_, g in parts]))
    target = np.concatenate([np.asarray(b) for _, b, _ in parts])
    return LeastSquaresSystem(operator, jnp.asarray(target[kept]))


def row_count(held: HeldOut, model: PyTree) -> int:
    """How many rows the system of all held-out points has, which is not formed for that."""

    def operator(model: PyTree) -> Any:
        return held.objective.system(model, held.batch).operator

    return int(eqx.filter_eval_shape(operator, model).out_size())


def held_out_gradient(held: HeldOut, model: PyTree, groups: Groups) -> PyTree:
    """The gradient of an energy in the unknowns of `held_out_system`, without its matrix."""
    return _sum(
        [_chunk_gradient(held.objective, model, groups, part) for part in chunks(held.batch)]
    )


def _sum(gradients: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *gradients)


@eqx.filter_jit
def _chunk_gradient(
    objective: AbstractObjective, model: PyTree, groups: Groups, batch: Any
) -> PyTree:
    return objective.evaluate(_variable(model, groups), batch).right_hand_side


def _variable(model: PyTree, groups: Groups) -> PyTree:
    """What a system is made of: a model itself, whose attributes terms may use, or a sum."""
    return enriched(model, groups) if groups else model


@eqx.filter_jit
def _chunk_rows(
    objective: AbstractObjective, model: PyTree, groups: Groups, batch: Any
) -> tuple[Any, Any, Any]:
    """Rows, and either the target, flat, or the gradient."""
    system = objective.system(_variable(model, groups), batch)
    assert isinstance(system.operator, JacobianRows)
    if system.target is None:
        return system.operator.matrix, None, system.gradient
    blocks = [jnp.ravel(block) for block in jax.tree.leaves(system.target)]
    return system.operator.matrix, jnp.concatenate(blocks), None
