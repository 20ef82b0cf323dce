"""The Gram matrix of a large real matrix by the BLAS of SciPy, where JAX runs on a CPU.

XLA's own products on CPUs take twice as long (`python benchmarks/factorizations.py --gram`). Python
is called for it, and JAX keeps no compiled program that does so in its persistent cache: that pays
for large matrices only. The call gets the buffers themselves: nothing is copied, and no other array
has to be ready for it, which could wait forever where there is one core.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import get_blas_funcs

try:
    from jax.experimental.buffer_callback import buffer_callback
except ImportError:  # it is an experiment of JAX's, and may go
    buffer_callback = None

REAL = ("float64", "float32")
WORTH = 1e10  # multiplications: XLA takes about half a second


def is_worth_a_call(matrix: Array, axis: int) -> bool:
    """Whether `host_gram` is there for a matrix of this type, and saves more than it costs."""
    there = buffer_callback is not None and jax.default_backend() == "cpu"
    return there and matrix.dtype.name in REAL and matrix.size * matrix.shape[axis] >= WORTH


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def host_gram(matrix: Float[Array, "n p"], axis: int) -> Float[Array, "m m"]:
    """A^T A (`axis` 1) or A A^T (`axis` 0)."""
    lower = _lower(matrix, axis)
    return jnp.tril(lower) + jnp.tril(lower, -1).T


@host_gram.defjvp
def _host_gram_jvp(axis: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (matrix,), (change,) = primals, tangents
    half = change.T @ matrix if axis else change @ matrix.T
    return host_gram(matrix, axis), half + half.T


def _lower(matrix: Array, axis: int) -> Array:
    assert buffer_callback is not None
    size = matrix.shape[axis]

    def on_host(context: Any, out: Any, buffer: Any) -> None:
        del context
        # Rows of numbers are columns to Fortran: what it calls the upper triangle is the lower one.
        columns, product = np.asarray(buffer).T, np.asarray(out).T
        syrk: Any = get_blas_funcs("syrk", (columns,))
        syrk(1.0, columns, trans=1 - axis, lower=0, c=product, overwrite_c=1)

    shape = jax.ShapeDtypeStruct((size, size), matrix.dtype)
    return buffer_callback(on_host, shape, vmap_method="sequential")(matrix)
