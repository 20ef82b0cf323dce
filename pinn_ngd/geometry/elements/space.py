"""Continuous piecewise polynomials on the cells of a domain, and the nodes that neighbors share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..patches.inverse import tree_of
from ..region import AbstractRegion
from .cells import AbstractCells, cells_of, inside

SAME = 1e-9  # of the size of the domain: nodes nearer than that are one


class Space(NamedTuple):
    """All cells; `dofs` (C, k) are the numbers of the test functions of each, m for left out.

    Where cells of one kind have fewer functions than those of another, the rest is left out too.
    """

    parts: tuple[AbstractCells, ...]
    degree: int
    dofs: np.ndarray
    count: int

    def values(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (C, n, d), |det J| (C, n) and test functions (C, n, k, 1 + d) at unit points."""
        found = [_in_space(part, self.degree, unit) for part in self.parts]
        points, volumes, values = zip(*found, strict=True)
        padded = [_padded(array, 2, self.dofs.shape[1]) for array in values]
        return np.concatenate(points), np.concatenate(volumes), np.concatenate(padded)

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n, k) and values (n, k) of the test functions that live at points (n, d).

        Raises ValueError for a point outside the domain.
        """
        found, offset = np.full(len(points), -1), 0
        values = np.zeros((len(points), self.dofs.shape[1]))
        for part in self.parts:
            cells, unit = part.located(points)
            here = ~np.isnan(unit[:, 0]) & (found < 0)
            found[here] = offset + cells[here]
            offset += part.count
            if here.any():
                polynomials = part.polynomials(self.degree, unit[here])[..., 0]
                values[here] = _padded(polynomials, 1, values.shape[1])
        if (found < 0).any():
            raise ValueError(
                f"the point {points[int(np.argmax(found < 0))]} of `surfaces` lies outside the "
                "domain, where no test function is: give faces and curves inside of it."
            )
        return self.dofs[found], values


def _in_space(
    part: AbstractCells, degree: int, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    reference = part.polynomials(degree, unit)
    points, jacobians = part.placed(unit)
    slopes = np.einsum("nki,cnij->cnkj", reference[..., 1:], np.linalg.inv(jacobians))
    values = np.broadcast_to(reference[..., :1], (*slopes.shape[:3], 1))
    volumes = np.abs(np.linalg.det(jacobians))
    return points, volumes, np.concatenate([values, slopes], axis=-1)


def _padded(array: np.ndarray, axis: int, size: int, by: int = 0) -> np.ndarray:
    """The array with more entries along an axis, all of one number."""
    more = [(0, size - n if i == axis else 0) for i, n in enumerate(array.shape)]
    return np.pad(array, more, constant_values=by)


def space_of(
    region: AbstractRegion, counts: tuple[int, ...], degree: int, zero_on: Sequence[AbstractRegion]
) -> Space:
    """Continuous piecewise polynomials on a domain that vanish on parts of the boundary.

    Raises ValueError where no node lies on one of these parts.
    """
    parts = tuple(cells_of(piece, counts) for piece in region.pieces)
    many = [part.nodes(degree) for part in parts]
    nodes = np.concatenate([of.reshape(-1, of.shape[2]) for of in many])
    first = _first_of_each(nodes)
    kept = first == np.arange(len(nodes))
    for part in zero_on:
        zero = kept.copy()
        zero[kept] = _lies_on(part, nodes[kept], _size(nodes))
        if not zero.any() and kept.any():
            raise ValueError(
                "no test function lives on a part of `zero_on`: give parts of the boundary of the "
                "domain, such as `domain.boundary(name)`."
            )
        kept &= ~zero
    count = int(kept.sum())
    numbers = np.full(len(nodes), count)
    numbers[kept] = np.arange(count)
    return Space(parts, degree, _by_cell(numbers[first], many, count), count)


def _by_cell(numbers: np.ndarray, nodes: list[np.ndarray], count: int) -> np.ndarray:
    """The numbers of the functions of every cell (C, k), the last number for those left out."""
    largest, found, start = max(of.shape[1] for of in nodes), [], 0
    for cells, k, _ in (of.shape for of in nodes):
        rows = numbers[start : start + cells * k].reshape(cells, k)
        found.append(_padded(rows, 1, largest, count))
        start += cells * k
    return np.concatenate(found)


def _first_of_each(nodes: np.ndarray) -> np.ndarray:
    """For every node the lowest number of a node at the same place."""
    near = tree_of(nodes).query_ball_point(nodes, SAME * _size(nodes))
    return np.asarray([min(group) for group in near])


def _size(nodes: np.ndarray) -> float:
    return float(np.linalg.norm(np.ptp(nodes, axis=0)))


def _lies_on(region: AbstractRegion, points: np.ndarray, size: float) -> np.ndarray:
    """Which points lie on a region, up to rounding."""
    found = np.zeros(len(points), bool)
    for piece in region.pieces:
        found |= ~np.isnan(inside(piece, points, SAME * size)[:, 0])
    return found


def as_device(array: np.ndarray) -> Any:
    """An array of JAX's default precision."""
    return jnp.asarray(array, dtype=jnp.result_type(float))
