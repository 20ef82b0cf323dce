"""The small matrix A A^H of a wide operator."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact

from ._ravel import dtype_of, ravel, size, unravel
from .operators import JacobianRows, adjoint
from .tall import gram_matrix

CHUNK = 64  # unit vectors at once: the largest array is CHUNK x parameters


def kernel_matrix(operator: lx.AbstractLinearOperator) -> Inexact[Array, "m m"]:
    """K = A A^H of an operator with m rows, A A^T of a real one.

    An operator that knows a cheaper way says so by a method `kernel_matrix()`. Otherwise stored
    rows are multiplied, and for operators known by products K is formed in chunks of columns
    A (A^H e_i), so that the rows are never stored.
    """
    own: Any = getattr(operator, "kernel_matrix", None)
    if own is not None:
        return own()
    if isinstance(operator, JacobianRows | lx.MatrixLinearOperator):
        return gram_matrix(operator.as_matrix(), of_rows=True)
    return _by_products(operator)


def _by_products(operator: lx.AbstractLinearOperator) -> Inexact[Array, "m m"]:
    structure, transposed = operator.out_structure(), adjoint(operator)
    rows, dtype = size(structure), dtype_of(structure)

    def column(i: Array) -> Array:
        unit = jnp.zeros(rows, dtype).at[i].set(1)
        return ravel(operator.mv(transposed.mv(unravel(unit, structure))), dtype)

    columns = jax.lax.map(column, jnp.arange(rows), batch_size=min(rows, CHUNK)).T
    return (columns + columns.conj().T) / 2
