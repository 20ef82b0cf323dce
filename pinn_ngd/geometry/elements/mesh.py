"""The cells of a domain, and the nodes that neighbors share."""

import itertools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..faces import Face
from ..patches.inverse import tree_of
from ..region import AbstractPiece, AbstractRegion
from .lobatto import lobatto_nodes, tensor_lagrange, tensor_points

SAME = 1e-9  # of the size of the domain: nodes nearer than that are one


class PieceCells(NamedTuple):
    """Equal boxes that a piece's reference is cut into: lower corners (C, d) and one size (d,)."""

    piece: AbstractPiece
    counts: tuple[int, ...]
    lower: np.ndarray
    size: np.ndarray

    def reference(self, unit: np.ndarray) -> np.ndarray:
        """Points (n, d) of the unit box, in the reference box of every cell: (C, n, d)."""
        return self.lower[:, None, :] + self.size * unit

    def of_points(self, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the cell (n,) and place in the unit box (n, d) of reference points (n, d)."""
        scaled = (xi - np.asarray(self.piece.corners[0])) / self.size
        index = np.clip(np.floor(scaled), 0, np.asarray(self.counts) - 1).astype(int)
        return np.asarray(np.ravel_multi_index(tuple(index.T), self.counts)), scaled - index


def cells_of(piece: AbstractPiece, counts: tuple[int, ...]) -> PieceCells:
    """The cells of one piece, the last axis running fastest."""
    lower, upper = (np.asarray(corner, float) for corner in piece.corners)
    size = (upper - lower) / np.asarray(counts)
    index = np.asarray(list(itertools.product(*map(range, counts))), float)
    return PieceCells(piece, counts, lower + size * index, size)


def placed(piece: AbstractPiece, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) and Jacobians (n, d, d) of the map of a piece at reference points (n, d)."""
    map_: Any = getattr(piece, "map", None)
    if map_ is None:
        return xi, np.broadcast_to(np.eye(xi.shape[1]), (len(xi), *(xi.shape[1],) * 2))
    return map_(xi), map_.jacobian(xi)


class Mesh(NamedTuple):
    """All cells; `dofs` (C, k) are the numbers of the test functions of each, m for left out."""

    parts: tuple[PieceCells, ...]
    degree: int
    dofs: np.ndarray
    count: int

    def values(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (C, n, d), |det J| (C, n) and test functions (C, n, k, 1 + d) at unit points."""
        reference = tensor_lagrange(self.degree, unit)
        found = [_in_space(part, unit, reference) for part in self.parts]
        points, volumes, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return points, volumes, values

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n, k) and values (n, k) of the test functions that live at points (n, d).

        Raises ValueError for a point outside the domain.
        """
        found = np.full(len(points), -1)
        unit, offset = np.zeros(points.shape), 0
        for part in self.parts:
            xi = inside(part.piece, points)
            here = ~np.isnan(xi[:, 0]) & (found < 0)
            cell, unit[here] = part.of_points(xi[here])
            found[here] = offset + cell
            offset += len(part.lower)
        if (found < 0).any():
            raise ValueError(
                f"the point {points[int(np.argmax(found < 0))]} of `surfaces` lies outside the "
                "domain, where no test function is: give faces and curves inside of it."
            )
        return self.dofs[found], tensor_lagrange(self.degree, unit)[..., 0]


def _in_space(
    part: PieceCells, unit: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    xi = part.reference(unit)
    points, jacobians = placed(part.piece, xi.reshape(-1, xi.shape[2]))
    jacobians = jacobians * part.size
    slopes = np.einsum("nki,cnij->cnkj", reference[..., 1:], _inverses(jacobians, xi.shape))
    values = np.broadcast_to(reference[..., :1], (*slopes.shape[:3], 1))
    volumes = np.abs(np.linalg.det(jacobians)).reshape(xi.shape[:2])
    return points.reshape(xi.shape), volumes, np.concatenate([values, slopes], axis=-1)


def _inverses(jacobians: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.linalg.inv(jacobians).reshape(*shape, shape[-1])


def mesh_of(
    region: AbstractRegion, counts: tuple[int, ...], degree: int, zero_on: AbstractRegion | None
) -> Mesh:
    """Cells with continuous piecewise polynomials that vanish on a part of the boundary."""
    parts = tuple(cells_of(piece, counts) for piece in region.pieces)
    unit = tensor_points(np.asarray(lobatto_nodes(degree)), region.dimension)
    nodes = np.concatenate([_nodes(part, unit) for part in parts])
    first = _first_of_each(nodes)
    kept = first == np.arange(len(nodes))
    if zero_on is not None:
        kept[kept] = ~_lies_on(zero_on, nodes[kept], _size(nodes))
    numbers = np.full(len(nodes), int(kept.sum()))
    numbers[kept] = np.arange(kept.sum())
    return Mesh(parts, degree, numbers[first].reshape(-1, len(unit)), int(kept.sum()))


def _nodes(part: PieceCells, unit: np.ndarray) -> np.ndarray:
    xi = part.reference(unit)
    return placed(part.piece, xi.reshape(-1, xi.shape[2]))[0]


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


def inside(piece: AbstractPiece, points: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """Points (n, d) of a piece in its reference; not a number for others."""
    if not isinstance(piece, Face) and hasattr(piece, "map"):
        return piece.coordinates(points)
    lower, upper = (np.asarray(corner, float) for corner in piece.corners)
    near = np.all((points >= lower - tolerance) & (points <= upper + tolerance), axis=1)
    return np.where(near[:, None], np.clip(points, lower, upper), np.nan)


def as_device(array: np.ndarray) -> Any:
    """An array of JAX's default precision."""
    return jnp.asarray(array, dtype=jnp.result_type(float))
