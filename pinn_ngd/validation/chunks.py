"""Batches in chunks of a few sizes, so that functions of points compile once or twice."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..geometry.quadrature import Quadrature

SIZE = 512
SHARE = 8  # a term with so many times fewer points than the largest one has smaller chunks


def chunks(batch: tuple[Quadrature, ...], size: int = SIZE) -> Iterator[tuple[Quadrature, ...]]:
    """The batch as batches of `size` points in every term, or an eighth of that in small terms.

    Where a term has no points left its first point fills the place, with weight zero: it adds
    nothing to a loss, and a row of zeros to a least-squares problem. It is evaluated all the same,
    which is why a term of few points, whose equation may be the costly one, has small chunks.
    Points with test functions, which are no terms of a sum, are whole in the first batch, and
    without weight in the others.
    """
    pointwise = [rule for rule in batch if rule.tests is None]
    count = max((-(-rule.weights.size // size) for rule in pointwise), default=1)
    small = max(1, size // SHARE)
    sizes = [small if rule.weights.size <= small * count else size for rule in batch]
    for i in range(count):
        yield tuple(_part(rule, i * n, n) for rule, n in zip(batch, sizes, strict=True))


def _part(rule: Quadrature, start: int, size: int) -> Quadrature:
    if rule.tests is not None:
        return rule if start == 0 else _silent(rule)
    part = jax.tree.map(lambda array: jnp.asarray(_filled(array, start, size)), rule)
    real = np.arange(start, start + size) < rule.weights.size
    weights = jnp.asarray(np.where(real, _filled(rule.weights, start, size), 0))
    return dataclasses.replace(part, weights=weights)


def _silent(rule: Quadrature) -> Quadrature:
    """The points without weights, those of surfaces too."""
    surfaces = tuple(
        dataclasses.replace(surface, quadrature=_silent(surface.quadrature))
        for surface in getattr(rule.tests, "surfaces", ())
    )
    tests = None if rule.tests is None else dataclasses.replace(rule.tests, surfaces=surfaces)
    return dataclasses.replace(rule, weights=jnp.zeros_like(rule.weights), tests=tests)


def _filled(array: Array, start: int, size: int) -> np.ndarray:
    """The rows from `start` on; the first of all in place of those that are missing.

    In NumPy: JAX would compile every slice and every joint of another length.
    """
    every = np.asarray(array)
    rows = every[start : start + size]
    return np.concatenate([rows, np.repeat(every[:1], size - len(rows), axis=0)])
