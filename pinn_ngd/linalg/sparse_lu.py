"""Sparse LU on the host (SciPy's SuperLU) for use under `jit`."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

KEPT = 4  # factorizations


class Pattern(NamedTuple):
    """Rows and columns (e,) of the entries of an (n, n) matrix; entries that repeat are summed."""

    rows: Int[np.ndarray, " e"]
    columns: Int[np.ndarray, " e"]
    size: int


def sparse_solve(
    pattern: Pattern,
    values: Float[Array, " e"],
    right: Float[Array, " n"],
    *,
    transposed: bool = False,
) -> Float[Array, " n"]:
    """A^-1 b or A^-T b, not finite where A is singular.

    The last four factorizations are kept, so all products of one step share one. Not
    differentiable: wrap it in `jax.lax.custom_linear_solve`, or give it to an `ImplicitState`.
    """

    def on_host(values: Any, right: Any) -> np.ndarray:
        values, right = np.asarray(values), np.asarray(right)
        matrices = values.reshape(-1, len(pattern.rows))
        if np.all(matrices == matrices[0]):  # one matrix, many right-hand sides
            return _solved(pattern, matrices[0], right, transposed)
        batch = (*values.shape[:-1], pattern.size)
        columns = np.broadcast_to(right, batch).reshape(-1, pattern.size)
        pairs = zip(matrices, columns, strict=True)
        return np.stack([_solved(pattern, a, b, transposed) for a, b in pairs]).reshape(batch)

    shape = jax.ShapeDtypeStruct(right.shape, right.dtype)
    return jax.pure_callback(on_host, shape, values, right, vmap_method="broadcast_all")


def _solved(
    pattern: Pattern, values: np.ndarray, right: np.ndarray, transposed: bool
) -> np.ndarray:
    """The solutions for one matrix and any number of right-hand sides."""
    factor = _factor(_Key(pattern, values))
    if factor is None:
        return np.full_like(right, np.nan)
    columns = np.ascontiguousarray(right.reshape(-1, pattern.size).T)
    solved = factor.solve(columns, trans="T" if transposed else "N")
    return np.asarray(solved.T, dtype=right.dtype).reshape(right.shape)


class _Key:
    """A matrix as a dictionary key: equal where all entries are."""

    def __init__(self, pattern: Pattern, values: np.ndarray):
        self.pattern, self.values = pattern, values
        self.bytes = values.tobytes()

    def __hash__(self) -> int:
        return hash((id(self.pattern), self.bytes))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Key):
            return False
        return self.pattern is other.pattern and self.bytes == other.bytes


@functools.lru_cache(maxsize=KEPT)
def _factor(key: _Key) -> Any:  # a SuperLU, or None for a singular matrix
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    rows, columns, size = key.pattern
    matrix = coo_array((key.values, (rows, columns)), shape=(size, size)).tocsc()
    try:
        return splu(matrix)
    except RuntimeError:  # "Factor is exactly singular"
        return None
