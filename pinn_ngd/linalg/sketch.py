"""Hutchinson's estimate of a Gram matrix: a small system from random products with A^T."""

import math

import jax
from jaxtyping import PRNGKeyArray

from ._ravel import dtype_of, ravel, size, unravel
from .operators import JacobianRows, adjoint
from .system import LeastSquaresSystem

BATCH = 16  # products that are computed at the same time


def sketch(system: LeastSquaresSystem, rows: int, key: PRNGKeyArray) -> LeastSquaresSystem:
    """The system with A^T A replaced by (1/m) sum_i (A^T h_i)(A^T h_i)^T, m = `rows`.

    h_i ~ N(0, I) in the output space of A, so the estimate is unbiased, with a relative error of
    about sqrt(p / m) for p parameters that the rows depend on (Hutchinson, Commun. Stat. Simul.
    Comput. 1990). It costs m products with A^T and none with A, whatever the number of rows of A,
    and stores m x p numbers. The gradient A^T b is kept exactly. The rank of the estimate is m at
    most, so that it needs damping where there are more parameters. Raises ValueError for fewer than
    one row.
    """
    if rows < 1:
        msg = f"`rows` is {rows}; a sketch needs one row or more."
        raise ValueError(msg)
    operator = system.operator
    structure, transposed = operator.out_structure(), operator.transpose()
    dtype, count = dtype_of(structure), size(structure)

    def row(key: PRNGKeyArray):
        h = jax.random.normal(key, (count,), dtype) / math.sqrt(rows)
        return ravel(transposed.mv(unravel(h, structure)), dtype)

    keys = jax.random.split(key, rows)
    matrix = jax.lax.map(row, keys, batch_size=min(rows, BATCH))
    gradient = (
        system.gradient if system.gradient is not None else adjoint(operator).mv(system.target)
    )
    small = JacobianRows(matrix, operator.in_structure(), jax.ShapeDtypeStruct((rows,), dtype))
    return LeastSquaresSystem(small, gradient=gradient, damping=system.damping)
