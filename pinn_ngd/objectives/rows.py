"""Parameter Jacobians of pointwise functions, one reverse sweep a point.

The gradient of one point's residual costs a few residual evaluations whatever the number of
parameters, and all points are independent: one vmap gives every row. Differentiating the whole
batch at once (jacrev, jacfwd) repeats the sweep over all points for every row or column.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def _flatten(tree: PyTree, leading: tuple[int, ...]) -> Array:
    leaves = [leaf.reshape(*leading, -1) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate(leaves, axis=-1)


def point_row(
    fn: Callable[[PyTree, Any], tuple[Array, Any]], params: PyTree, x: Any
) -> tuple[Array, Array, Any]:
    """Value, flattened parameter gradient and auxiliary output of a function of one point x.

    `fn(params, x)` returns a scalar or (k,) array and anything else; the gradient has shape (p,)
    or (k, p).
    """
    value, pullback, extra = jax.vjp(lambda q: fn(q, x), params, has_aux=True)
    if value.ndim == 0:
        (gradient,) = pullback(jnp.ones_like(value))
        return value, _flatten(gradient, ()), extra
    basis = jnp.eye(value.shape[0], dtype=value.dtype)
    (gradient,) = jax.vmap(pullback)(basis)
    return value, _flatten(gradient, (value.shape[0],)), extra


def map_points(fn: Callable, xs: PyTree, chunk_size: int | None) -> Any:
    """vmap over the leading axis, in chunks where a chunk size bounds the memory.

    Gradients through it need the memory of one chunk too. The chunks are of one size, the last one
    filled up with its last point: a remainder of its own would be compiled a second time.
    """
    rows = jax.tree.leaves(xs)[0].shape[0]
    if chunk_size is None or rows <= chunk_size:
        return jax.vmap(fn)(xs)
    count = -(-rows // chunk_size)
    size = -(-rows // count)
    parts = jax.tree.map(lambda x: _in_parts(x, count, size), xs)
    # A gradient evaluates a chunk anew when it comes to it: without that the loop would keep what
    # every chunk needs, which takes more time and more memory than all points at once.
    chunk = jax.checkpoint(jax.vmap(fn), prevent_cse=False)  # a loop needs no such barrier
    values = jax.lax.map(chunk, parts)
    return jax.tree.map(lambda y: y.reshape(count * size, *y.shape[2:])[:rows], values)


def _in_parts(x: Array, count: int, size: int) -> Array:
    last = jnp.broadcast_to(x[-1:], (count * size - len(x), *x.shape[1:]))
    return jnp.concatenate([x, last]).reshape(count, size, *x.shape[1:])
