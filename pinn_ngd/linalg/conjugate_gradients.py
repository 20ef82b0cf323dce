"""Conjugate gradients that an optimizer can judge: stops, iterates, negative curvature."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from .. import _tree
from .._settings import Count, NonNegative, check_fields

SPACING = 1.3  # ratio of the numbers of two iterates that are kept one after the other
LEAST_WINDOW = 10  # iterations over which progress is measured, at least
TENTH = 10  # and this part of those made


class Descent(eqx.Module):
    """Where conjugate gradients for M x = b ended.

    `value` is the last iterate and `steps` its number. `kept` are the iterates `marks(most)` in a
    stack, of which the first `count` were made before the last one; it is None where none are kept.
    `indefinite` says that a direction p with p^T M p <= 0 ended it.
    """

    value: PyTree[Array]
    steps: Int[Array, ""]
    kept: PyTree[Array] | None
    count: Int[Array, ""]
    indefinite: Bool[Array, ""]


class _Iterate(eqx.Module):
    x: PyTree
    r: PyTree
    p: PyTree
    rz: Float[Array, ""]
    number: Int[Array, ""]
    models: Float[Array, " most1"]
    kept: PyTree
    indefinite: Bool[Array, ""]


class Truncated(eqx.Module):
    """Conjugate gradients for a symmetric M, which an optimizer cuts short.

    They end after `most` iterations, where |b - M x| <= `tolerance` |b|, and, with `progress`
    eps > 0, where the quadratic phi(x) = 1/2 x^T M x - b^T x has made little progress (Martens,
    ICML 2010, section 4.4): with k = max(10, i/10) after iteration i > k,

        phi(x_i) < 0    and    (phi(x_i) - phi(x_{i-k})) / phi(x_i) < k eps.

    What an optimizer wants is a small phi and not a small residual, which falls much later. With
    `keep` the iterates number ceil(1.3^j) are kept. A direction of curvature zero or below ends
    them: x stays, and is the preconditioned b where it was zero.
    """

    most: Count = eqx.field(static=True, default=250)
    tolerance: NonNegative = eqx.field(static=True, default=0.0)
    progress: NonNegative = eqx.field(static=True, default=0.0)
    keep: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_fields(self)

    def __call__(
        self,
        operator: lx.AbstractLinearOperator,
        vector: PyTree[Array],
        *,
        start: PyTree[Array] | None = None,
        preconditioner: lx.AbstractLinearOperator | None = None,
    ) -> Descent:
        """From `start`, zero by default, with a positive definite `preconditioner` ~ M^-1."""

        def solved(r: PyTree) -> PyTree:
            return r if preconditioner is None else preconditioner.mv(r)

        numbers = marks(self.most) if self.keep else ()
        slots = _slots(numbers, self.most)

        def keep(kept: PyTree, number: Array, x: PyTree) -> PyTree:
            if kept is None:
                return None
            slot = jnp.asarray(slots)[number]
            return jax.tree.map(lambda k, v: k.at[slot].set(v, mode="drop"), kept, x)

        limit = self.tolerance * _tree.norm(vector)
        x = _tree.zeros_like(vector) if start is None else start
        r = vector if start is None else _tree.subtract(vector, operator.mv(start))
        z = solved(r)
        models = jnp.zeros(self.most + 1, limit.dtype).at[0].set(_model(x, r, vector))
        stack = jax.tree.map(lambda v: jnp.zeros((len(numbers), *v.shape), v.dtype), vector)
        kept = stack if self.keep else None
        no, none = jnp.asarray(False), jnp.asarray(0, jnp.int32)
        first = _Iterate(x, r, z, _tree.dot(r, z), none, models, kept, no)

        def going(at: _Iterate) -> Array:
            left = (at.number < self.most) & ~at.indefinite & (at.rz > 0)
            left &= _tree.norm(at.r) > limit
            return left & ~self._stalled(at) if self.progress else left

        def iterate(at: _Iterate) -> _Iterate:
            image = operator.mv(at.p)
            curvature = _tree.dot(at.p, image)
            indefinite = curvature <= 0
            # A zero start has no better answer than the direction along which M curves down.
            at_zero = (at.number == 0) & (_tree.norm(at.x) == 0)
            length = jnp.where(indefinite, jnp.where(at_zero, 1.0, 0.0), at.rz / curvature)
            x = _tree.add(at.x, _tree.scale(length, at.p))
            r = _tree.subtract(at.r, _tree.scale(length, image))
            z = solved(r)
            rz = _tree.dot(r, z)
            p = _tree.add(z, _tree.scale(rz / at.rz, at.p))
            number = at.number + 1
            models = at.models.at[number].set(_model(x, r, vector))
            return _Iterate(x, r, p, rz, number, models, keep(at.kept, number, x), indefinite)

        last = jax.lax.while_loop(going, iterate, first)
        count = jnp.sum(jnp.asarray(numbers, jnp.int32) < last.number, dtype=jnp.int32)
        return Descent(last.x, last.number, last.kept, count, last.indefinite)

    def _stalled(self, at: _Iterate) -> Array:
        i = at.number
        k = jnp.maximum(LEAST_WINDOW, -(-i // TENTH))
        now, before = at.models[i], at.models[jnp.maximum(i - k, 0)]
        little = now - before > k.astype(now.dtype) * self.progress * now  # both are negative
        return (i > k) & (now < 0) & little


def marks(most: int) -> tuple[int, ...]:
    """The numbers of the iterates that are kept among `most` of them: ceil(1.3^j)."""
    count = 1 + int(math.log(most) / math.log(SPACING))
    numbers = {math.ceil(SPACING**j) for j in range(count)}
    return tuple(sorted(n for n in numbers if n <= most))


def _slots(numbers: tuple[int, ...], most: int) -> np.ndarray:
    """The place of every iterate among those kept; one beyond the last for the others."""
    slots = np.full(most + 1, len(numbers), np.int32)
    slots[list(numbers)] = range(len(numbers))
    return slots


def _model(x: PyTree, r: PyTree, b: PyTree) -> Float[Array, ""]:
    """phi(x) = -1/2 x^T (r + b), r = b - M x."""
    return -0.5 * _tree.dot(x, _tree.add(r, b))
