"""Jacobians of pointwise functions, applied chunk by chunk of points."""

import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

from ._ravel import dtype_of, hashable, is_complex, ravel, structure_of, unravel
from .operators import AbstractTransposable, register_operator


@register_operator
class ChunkedJacobian(AbstractTransposable):
    """The Jacobian of pointwise residuals, never stored, with memory bounded by one chunk.

    `fn(params, points)` maps n points (an array or PyTree with leading axis n) to a PyTree of
    arrays with leading axis n; row i may depend on point i alone. A v is a forward derivative of
    one chunk of points after another, A^T y the accumulated reverse derivatives. `as_matrix`
    takes one reverse sweep for every residual. `fn` may close over traced arrays; it must be a
    holomorphic function of complex parameters.
    """

    fn: Callable[[PyTree, PyTree], PyTree]
    params: PyTree
    points: PyTree
    chunk_size: int = eqx.field(static=True)

    def __init__(self, fn: Callable, params: PyTree, points: PyTree, chunk_size: int):
        if chunk_size < 1:
            msg = f"`chunk_size` is {chunk_size}; it must be a positive number of points."
            raise ValueError(msg)
        point = jax.tree.map(lambda x: x[0], points)
        # Lineax forbids closed-over tracers, so what `fn` closes over becomes part of the operator.
        self.fn = eqx.filter_closure_convert(_one_point(fn), params, point)
        self.params, self.points = params, points
        self.chunk_size = min(chunk_size, _leading(points))

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        def product(chunk: PyTree) -> PyTree:
            return jax.jvp(lambda q: self._residual(q, chunk), (self.params,), (vector,))[1]

        return self._unpad(jax.lax.map(product, self._chunks(self.points, repeat=True)))

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T y, accumulated over the chunks."""

        def accumulate(total: PyTree, chunk: tuple[PyTree, PyTree]) -> tuple[PyTree, None]:
            points, cotangent = chunk
            _, pullback = jax.vjp(lambda q: self._residual(q, points), self.params)
            return jax.tree.map(jnp.add, total, pullback(cotangent)[0]), None

        # Zero cotangents mask the repeated points of the last chunk.
        chunks = self._chunks(self.points, repeat=True), self._chunks(vector, repeat=False)
        start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), self.in_structure())
        return jax.lax.scan(accumulate, start, chunks)[0]

    def as_matrix(self) -> Inexact[Array, "n p"]:
        structure = self.in_structure()
        flat = ravel(self.params, dtype_of(structure))
        jacobian = functools.partial(jax.jacrev, holomorphic=is_complex(structure))

        def rows(point: PyTree) -> PyTree:
            return jacobian(lambda q: self.fn(unravel(q, structure), point))(flat)

        blocks = jax.lax.map(rows, self.points, batch_size=self.chunk_size)
        return jnp.concatenate([x.reshape(-1, flat.size) for x in jax.tree.leaves(blocks)])

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return _structure(self.params)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        # Computed from shapes alone, because the arrays may be abstract here.
        return _structure(eqx.filter_eval_shape(self._residual, self.params, self.points))

    def _residual(self, params: PyTree, points: PyTree) -> PyTree:
        return jax.vmap(self.fn, in_axes=(None, 0))(params, points)

    def _chunks(self, tree: PyTree, *, repeat: bool) -> PyTree:
        """(n, ...) to (chunks, chunk_size, ...), filled with the last point or with zeros."""
        n = _leading(self.points)
        chunks = math.ceil(n / self.chunk_size)
        fill, mode = chunks * self.chunk_size - n, "edge" if repeat else "constant"

        def split(x: Array) -> Array:
            padded = jnp.pad(x, ((0, fill), *((0, 0),) * (x.ndim - 1)), mode=mode)
            return padded.reshape(chunks, self.chunk_size, *x.shape[1:])

        return jax.tree.map(split, tree)

    def _unpad(self, tree: PyTree) -> PyTree:
        n = _leading(self.points)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], tree)


def _one_point(fn: Callable) -> Callable:
    def single(params: PyTree, point: PyTree) -> PyTree:
        values = fn(params, jax.tree.map(lambda x: x[None], point))
        return jax.tree.map(lambda x: x[0], values)

    return single


def _leading(points: PyTree) -> int:
    return jax.tree.leaves(points)[0].shape[0]


def _structure(tree: PyTree) -> PyTree[jax.ShapeDtypeStruct]:
    return structure_of(hashable(tree))
