"""Batches in chunks of one size, so that functions of points compile once."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..geometry.quadrature import Quadrature

SIZE = 512


def chunks(batch: tuple[Quadrature, ...], size: int = SIZE) -> Iterator[tuple[Quadrature, ...]]:
    """The batch as batches of `size` points in every term.

    Where a term has no points left its first point fills the place, with weight zero: it adds
    nothing to a loss, and a row of zeros to a least-squares problem. Points with test functions,
    which are no terms of a sum, are whole in the first batch, and without weight in the others.
    """
    pointwise = [rule for rule in batch if rule.tests is None]
    count = max((-(-rule.weights.size // size) for rule in pointwise), default=1)
    for i in range(count):
        yield tuple(_part(rule, i * size, size) for rule in batch)


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
