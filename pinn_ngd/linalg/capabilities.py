"""What a solver is and needs: attributes of ours, and the classes of Lineax that have none.

A solver of ours or of a user may have these; `lineax.Normal` has none, and its inner solver answers
for it.

- `matrix_free`: whether products with the operator are all it needs (without it, it is tried);
- `semidefinite`: whether it solves semidefinite systems, and least squares in `Normal` only
  (without it, it is tried);
- `takes_key`: whether it draws random numbers from `options["key"]` (no);
- `refusal_of_derivatives(options)`: a sentence that says why a derivative of the solution would be
  wrong, or None (None).
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx

from .operators import JacobianRows, register_operator

SIZE = 3
_TAGS = frozenset({lx.diagonal_tag, lx.positive_semidefinite_tag})


class _MatrixWanted(Exception):
    """A solver asked for the matrix of an operator that has products only."""


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


def inner(solver: lx.AbstractLinearSolver) -> lx.AbstractLinearSolver:
    """The solver for A^T A that corresponds to a least-squares solver for A."""
    return solver.inner_solver if isinstance(solver, lx.Normal) else solver


def is_semidefinite(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver works with the Gram matrix: `Normal`, or one that takes square operators."""
    return isinstance(solver, (lx.Normal, lx.Cholesky, lx.CG)) or takes_square_only(solver)


def takes_key(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver draws random numbers from `options["key"]`."""
    return bool(getattr(inner(solver), "takes_key", False))


def refusal_of_derivatives(solver: lx.AbstractLinearSolver, options: dict[str, Any]) -> str | None:
    """The sentence with which a solver refuses derivatives of what it solves with these options."""
    ask: Any = getattr(inner(solver), "refusal_of_derivatives", None)
    return None if ask is None else ask(options)


def is_iterative(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver needs products with the operator only, never its matrix.

    One without the attribute `matrix_free` is tried: its `init` is traced with a small operator
    that has products only, and one that asks for the matrix, or cannot begin, is direct.
    """
    stated: Any = getattr(solver, "matrix_free", None)
    if stated is not None:
        return bool(stated)
    if isinstance(solver, lx.Normal):
        return is_iterative(solver.inner_solver)
    held = any(eqx.is_array(x) for x in jax.tree.leaves(solver))
    return _asks_for_products_only(solver) if held else _remembered(solver)


def takes_square_only(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver refuses operators that are not square, as LU and GMRES do.

    Such a solver is given the normal equations of a least-squares problem, whose matrix is
    semidefinite. It may say so by an attribute `semidefinite`. Any other solver is tried: its
    `init` is traced with a small tall matrix, which a ValueError refuses.
    """
    stated: Any = getattr(solver, "semidefinite", None)
    if stated is not None:
        return bool(stated)
    held = any(eqx.is_array(x) for x in jax.tree.leaves(solver))
    return _refuses_tall(solver) if held else _refuses_tall_remembered(solver)


def _refuses_tall(solver: lx.AbstractLinearSolver) -> bool:
    dtype = jnp.result_type(float)
    shapes = [jax.ShapeDtypeStruct((size,), dtype) for size in (SIZE - 1, SIZE)]
    try:
        eqx.filter_eval_shape(
            lambda: solver.init(JacobianRows(jnp.zeros((SIZE, SIZE - 1), dtype), *shapes), {})
        )
    except ValueError:
        return True
    return False


def _asks_for_products_only(solver: lx.AbstractLinearSolver) -> bool:
    try:
        eqx.filter_eval_shape(solver.init, _Products(), {})
    except (_MatrixWanted, TypeError, ValueError, NotImplementedError):
        return False
    return True


# A trial takes milliseconds and would be repeated in every solve.
_remembered = functools.lru_cache(maxsize=64)(_asks_for_products_only)
_refuses_tall_remembered = functools.lru_cache(maxsize=64)(_refuses_tall)
