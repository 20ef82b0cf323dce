"""Batches in chunks of one size, so that functions of points compile once."""

from collections.abc import Iterator

import jax.numpy as jnp

from ..geometry.quadrature import Quadrature

SIZE = 512


def chunks(batch: tuple[Quadrature, ...], size: int = SIZE) -> Iterator[tuple[Quadrature, ...]]:
    """The batch as batches of `size` points in every term.

    Where a term has no points left its first point fills the place, with weight zero: it adds
    nothing to a loss, and a row of zeros to a least-squares problem.
    """
    count = max(-(-rule.weights.size // size) for rule in batch)
    for i in range(count):
        yield tuple(_part(rule, i * size, size) for rule in batch)


def _part(rule: Quadrature, start: int, size: int) -> Quadrature:
    points, weights = rule.points[start : start + size], rule.weights[start : start + size]
    missing = size - len(weights)
    if missing == 0:
        return Quadrature(points, weights)
    filling = jnp.broadcast_to(rule.points[:1], (missing, rule.points.shape[1]))
    nothing = jnp.zeros((missing,), rule.weights.dtype)
    return Quadrature(jnp.concatenate([points, filling]), jnp.concatenate([weights, nothing]))
