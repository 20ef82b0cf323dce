"""Batches in chunks of one size, so that functions of points compile once."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

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
    # In NumPy: JAX would compile every slice and every joint of another length.
    points, weights = np.asarray(rule.points), np.asarray(rule.weights)
    part = slice(start, start + size)
    missing = size - len(weights[part])
    filling = np.repeat(points[:1], missing, axis=0)
    nothing = np.zeros(missing, weights.dtype)
    return Quadrature(
        jnp.asarray(np.concatenate([points[part], filling])),
        jnp.asarray(np.concatenate([weights[part], nothing])),
    )
