"""Which derivatives of the model a term takes, and whether the model has them."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _tree
from .sites import Site, split

POINTS = 16  # at which derivatives are looked at
ORDERS = {1: "first", 2: "second", 3: "third", 4: "fourth"}
SEEN = 1e-9  # relative change of a residual from which on it depends on a derivative
FAR = 5.0  # times a tenth of themselves, or of one, parameters change; kinks pass by many points
PARTS = 32  # of a change of the parameters, in each of which a jump is looked for, ...
LEVELS = {4: 3, 8: 5}  # ... and of the part where it is, so often, by the bytes of a number
JUMP = 1e-2  # of the size of what jumps


def missing_derivatives(objective: Any, model: PyTree, batch: PyTree) -> Iterator[tuple[str, str]]:
    """Term and order ("second") of derivatives that a term takes and the model does not have.

    Whether a term takes derivatives of order m at x is seen by adding (a.(y - x))^m to the model,
    which changes no lower one. Those of the model are missing where they vanish identically, which
    is looked at after a small random change of its parameters, so that one that starts from zero
    has its own; and where those of order m - 1 jump while the parameters change: relu has a kink
    somewhere, whatever it is multiplied by, and a derivative that is taken on both sides of it
    misses it. What a model takes of the point alone, such as a distance, does not change with its
    parameters and may be as rough as it likes. Models that are no functions of a point have none
    that could be missed.
    """
    terms = getattr(objective, "terms", ())
    if not terms or not callable(model):
        return
    moved = _moved(model)
    for term, rule in zip(terms, batch, strict=True):
        try:
            order = _highest(term, moved, _some(term.sites(rule)))
        except Exception:  # the term wants more of its model than values at points
            continue
        if order and not bool(_has(model, split(_some(rule.points))[0], order)):
            yield term.name, ORDERS[order]


class _Shifted:
    """A model plus a polynomial; everything else of it is the model's own."""

    def __init__(self, model: Any, center: Array, direction: Array, order: int):
        self._model, self._center = model, center
        self._direction, self._order = direction, order

    def __call__(self, x: Array) -> Array:
        value, along = jnp.asarray(self._model(x)), jnp.dot(self._direction, x - self._center)
        bump = along
        for _ in range(self._order - 1):
            bump = bump * along
        return value + bump.astype(value.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _highest(term: Any, model: PyTree, sites: Site) -> int:
    """The highest order of derivatives that a term takes; 0 where it takes none."""
    taken = zip(ORDERS, _taken(term, model, sites), strict=True)
    return max((order for order, is_taken in taken if is_taken), default=0)


@eqx.filter_jit
def _taken(term: Any, model: PyTree, sites: Site) -> list[Array]:
    direction = _direction(split(sites)[0])

    def changes(site: Site, order: int) -> Array:
        before = term.value(model, site)
        shifted = _Shifted(model, split(site)[0], direction, order)
        change = jnp.abs(term.value(shifted, site) - before)
        return jnp.any(change > SEEN * (1 + jnp.abs(before)))

    return [jnp.any(jax.vmap(lambda x, m=m: changes(x, m))(sites)) for m in ORDERS]


@eqx.filter_jit
def _has(model: PyTree, points: Array, order: int) -> Array:
    """Whether a derivative of that order is not zero, at one of the points, and none is missed."""
    found = jnp.any(jax.vmap(_differentiated(_moved(model), points, order))(points) != 0)
    return found & ~jnp.any(jax.vmap(lambda x: _jumps(model, x, order - 1))(points))


def _jumps(model: PyTree, x: Float[Array, " d"], order: int) -> Array:
    """Whether a derivative in the point jumps while the parameters change.

    A jump keeps its size in the part where it is, however small that is made; all else shrinks.
    """

    def at(t: Array) -> Array:
        return _differentiated(_moved(model, t), x[None], order)(x).ravel()

    def zoomed(_: Any, part: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """The part that its slope in the middle explains worst, and its change against the size."""
        start, length, _ = part
        half = jnp.arange(2 * PARTS + 1, dtype=x.dtype) * (length / (2 * PARTS))
        values, slopes = jax.vmap(lambda t: jax.jvp(at, (t,), (jnp.ones_like(t),)))(start + half)
        changes, small = jnp.diff(values[::2], axis=0), half[2]
        missed = jnp.max(jnp.abs(changes - small.astype(slopes.dtype) * slopes[1::2]), axis=1)
        worst = jnp.argmax(missed)
        change = jnp.max(jnp.abs(changes[worst])) / jnp.max(jnp.abs(values))
        return start + half[2 * worst], small, change

    zero, levels = jnp.zeros((), x.dtype), LEVELS[x.dtype.itemsize]
    return jax.lax.fori_loop(0, levels, zoomed, (zero, zero + FAR, zero))[2] > JUMP


def _differentiated(model: PyTree, points: Array, order: int) -> Any:
    u = model
    for _ in range(order):
        u = _along(u, _direction(points))
    return lambda x: jnp.asarray(u(x))


def _direction(points: Float[Array, "n d"]) -> Float[Array, " d"]:
    """No axis, and nothing that a wave operator is blind to."""
    return 1 + jax.random.uniform(jax.random.key(0), points.shape[1:], points.dtype)


def _along(u: Any, direction: Float[Array, " d"]) -> Any:
    return lambda x: jax.jvp(u, (x,), (direction,))[1]


def _some(sites: Site) -> Site:
    return jax.tree.map(lambda rows: rows[:: max(1, -(-len(rows) // POINTS))], sites)


def _moved(model: PyTree, t: Any = 1) -> PyTree:
    """The model with parameters changed by a tenth of their size or of one, times t."""
    params, static = _tree.trainable(model)
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), max(len(leaves), 1))
    noise = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=False)]
    steps = [0.1 * n * (1 + jnp.abs(x)) for x, n in zip(leaves, noise, strict=True)]
    pairs = zip(leaves, steps, strict=True)
    moved = [x + jnp.asarray(t).astype(x.dtype) * step for x, step in pairs]
    return eqx.combine(jax.tree.unflatten(treedef, moved), static)
