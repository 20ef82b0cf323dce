"""How the damping of a step is found among candidates on a grid."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from ... import _tree
from ..base import Solves

Search = Literal["auto", "grid", "climb", "walk"]


class Candidate(eqx.Module):
    """The step that one damping gives, and what it is worth.

    `good` says whether the linear model describes the loss along it. `solves` are those that this
    candidate took, `rank` and `condition` what its solver states of the system.
    """

    damping: Float[Array, ""]
    step: PyTree
    loss: Float[Array, ""]
    predicted: Float[Array, ""]
    actual: Float[Array, ""]
    good: Bool[Array, ""]
    solves: Solves
    rank: Array | None
    condition: Array | None


Try = Callable[[Float[Array, ""]], Candidate]


def longest_good(attempt: Try, dampings: Float[Array, " k"], search: Search) -> Candidate:
    """The good candidate with the smallest damping that `search` finds, else one that is not good.

    The dampings increase. "grid" tries all of them at once. "climb" tries one after the other from
    the smallest up and ends at the first that is good, which is the same one. "walk" starts in the
    middle and goes down as long as candidates are good, or up until one is: two or three trials,
    which miss a good one below one that is not. That costs less than it saves (docs/design.md).
    "auto" walks on CPUs; elsewhere many small trials at once take no longer than one, and it is the
    grid. The `solves` are those of all trials.
    """
    if search == "auto":
        search = "walk" if jax.default_backend() == "cpu" else "grid"
    if search == "grid":
        return _of_all(attempt, dampings)
    return _walked(attempt, dampings, 0 if search == "climb" else len(dampings) // 2)


def _of_all(attempt: Try, dampings: Float[Array, " k"]) -> Candidate:
    every = jax.vmap(attempt)(dampings)
    best = jnp.argmax(every.good)
    found = jax.tree.map(lambda leaf: leaf[best], every)
    solves = jax.tree.map(lambda count: jnp.sum(count, dtype=count.dtype), every.solves)
    return _with_solves(found, solves)


def _walked(attempt: Try, dampings: Float[Array, " k"], start: int) -> Candidate:
    """Down from `start` as long as candidates are good, or up until one is."""
    attempt, nothing = _traced(attempt, dampings)

    def goes_on(loop: tuple[Int[Array, ""], Int[Array, ""], Candidate]) -> Bool[Array, ""]:
        place, way, best = loop
        # Down from a good one, up from one that is not: a turn means that the last good is found.
        return (place >= 0) & (place < len(dampings)) & ((way == 0) | (best.good == (way < 0)))

    def body(loop: tuple) -> tuple:
        place, way, best = loop
        found = attempt(dampings[place])
        solves = found.solves + best.solves
        way = jnp.where(way == 0, jnp.where(found.good, -1, 1), way)
        # A walk down ends at the first that is not good, and keeps the one before. Of candidates
        # that are all bad the first counts.
        keep = found.good | (place == start)
        place = jnp.where(found.good | (way > 0), place + way, -1)
        return place, way, _with_solves(_tree.where(keep, found, best), solves)

    return jax.lax.while_loop(goes_on, body, (jnp.asarray(start), jnp.asarray(0), nothing))[2]


def _traced(attempt: Try, dampings: Float[Array, " k"]) -> tuple[Try, Candidate]:
    """The function traced once, although a loop and the shape of its start need it, and zeros."""
    attempt = eqx.filter_closure_convert(attempt, dampings[0])
    shapes = jax.eval_shape(attempt, dampings[0])
    return attempt, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def _with_solves(candidate: Candidate, solves: Solves) -> Candidate:
    return eqx.tree_at(lambda c: c.solves, candidate, solves)
