"""What a solver needs of its operator, without a list of classes."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx

from .operators import register_operator

SIZE = 3
_TAGS = frozenset({lx.diagonal_tag, lx.positive_semidefinite_tag})


class _MatrixWanted(Exception):
    """Somebody asked for the matrix of an operator that has products only."""


@register_operator
class _Products(lx.AbstractLinearOperator):
    """An identity of which products are known, tagged so that every solver takes it."""

    tags: frozenset[object] = eqx.field(static=True, default=_TAGS)

    def mv(self, vector: Any) -> Any:
        return vector

    def as_matrix(self) -> Any:
        raise _MatrixWanted

    def transpose(self) -> "_Products":
        return self

    def in_structure(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((SIZE,), jnp.result_type(float))

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return self.in_structure()


def is_iterative(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver needs products with the operator only, never its matrix.

    A solver may say so by an attribute `matrix_free`; `Normal` answers for its inner solver. Any
    other is tried: its `init` is traced with a small operator that has products only, and one that
    asks for the matrix, or cannot begin, is direct.
    """
    stated: Any = getattr(solver, "matrix_free", None)
    if stated is not None:
        return bool(stated)
    if isinstance(solver, lx.Normal):
        return is_iterative(solver.inner_solver)
    held = any(eqx.is_array(x) for x in jax.tree.leaves(solver))
    return _asks_for_products_only(solver) if held else _remembered(solver)


def _asks_for_products_only(solver: lx.AbstractLinearSolver) -> bool:
    try:
        eqx.filter_eval_shape(solver.init, _Products(), {})
    except (_MatrixWanted, TypeError, ValueError, NotImplementedError):
        return False
    return True


# A trial takes milliseconds, and a solver is asked in every solve.
_remembered = functools.lru_cache(maxsize=64)(_asks_for_products_only)
