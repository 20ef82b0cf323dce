"""LSMR for operators of every precision."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from ._ravel import dtype_of
from .operators import AbstractTransposable, register_operator


class LSMR(lx.LSMR):
    """`lineax.LSMR`, also where the operator is less precise than JAX's default float.

    Lineax 0.1.1 keeps its scalars in the default float, and its loop refuses vectors of another
    precision (float32 under `jax_enable_x64`). Here the recurrences run in the default float. The
    products and the solution have the precision of the operator.
    """

    def compute(
        self, state: Any, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        structure = state.in_structure()
        if _is_default(structure) and _is_default(state.out_structure()):
            return super().compute(state, vector, options)
        if options.get("y0") is not None:
            options = {**options, "y0": _widened(options["y0"])}
        value, result, stats = super().compute(Widened(state), _widened(vector), options)
        return _narrowed(value, structure), result, stats


class Widened(AbstractTransposable):
    """An operator between vectors of JAX's default precision; its products keep their own."""

    operator: lx.AbstractLinearOperator

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return _widened(self.operator.mv(_narrowed(vector, self.operator.in_structure())))

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T w."""
        narrow = _narrowed(vector, self.operator.out_structure())
        return _widened(self.operator.transpose().mv(narrow))

    def as_matrix(self) -> Inexact[Array, "n p"]:
        return _widened(self.operator.as_matrix())

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return jax.eval_shape(_widened, self.operator.in_structure())

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return jax.eval_shape(_widened, self.operator.out_structure())


register_operator(Widened)


def _is_default(structure: PyTree) -> bool:
    return jnp.finfo(dtype_of(structure)).dtype == jnp.result_type(float)


def _widened(tree: PyTree[Array]) -> PyTree[Array]:
    def one(x: Array) -> Array:
        return x.astype(jnp.result_type(complex if jnp.iscomplexobj(x) else float))

    return jax.tree.map(one, tree)


def _narrowed(tree: PyTree[Array], structure: PyTree) -> PyTree[Array]:
    return jax.tree.map(lambda x, like: x.astype(like.dtype), tree, structure)
