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


def missing_derivatives(objective: Any, model: PyTree, batch: PyTree) -> Iterator[tuple[str, str]]:
    """Term and order ("second") of derivatives that a term takes and that vanish identically.

    Whether a term takes derivatives of order m at x is seen by adding (a.(y - x))^m to the model,
    which changes no lower one. Whether the model has them is looked at after a small random change
    of its parameters, so that one that starts from zero has its own. Models that are no functions
    of a point have none that could be missed.
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
        if order and not bool(_found(moved, split(_some(rule.points))[0], order)):
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
def _found(model: PyTree, points: Array, order: int) -> Array:
    """Whether a derivative of that order is not zero, at one of the points."""
    u = model
    for _ in range(order):
        u = _along(u, _direction(points))
    return jnp.any(jax.vmap(lambda x: jnp.asarray(u(x)))(points) != 0)


def _direction(points: Float[Array, "n d"]) -> Float[Array, " d"]:
    """No axis, and nothing that a wave operator is blind to."""
    return 1 + jax.random.uniform(jax.random.key(0), points.shape[1:], points.dtype)


def _along(u: Any, direction: Float[Array, " d"]) -> Any:
    return lambda x: jax.jvp(u, (x,), (direction,))[1]


def _some(sites: Site) -> Site:
    return jax.tree.map(lambda rows: rows[:: max(1, -(-len(rows) // POINTS))], sites)


def _moved(model: PyTree) -> PyTree:
    params, static = _tree.trainable(model)
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), max(len(leaves), 1))
    noise = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=False)]
    moved = [x + 0.1 * n * (1 + jnp.abs(x)) for x, n in zip(leaves, noise, strict=True)]
    return eqx.combine(jax.tree.unflatten(treedef, moved), static)
