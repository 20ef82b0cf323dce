"""Cells with polynomials: equal boxes in the reference of a patch, and the cells of a mesh."""

import abc
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..faces import Face
from ..meshes.kinds import Kind
from ..meshes.strung import Strung
from ..region import AbstractPiece
from .lobatto import lobatto_nodes, tensor_lagrange, tensor_points
from .simplex import simplex_lagrange, simplex_nodes


class AbstractCells(abc.ABC):
    """Cells of one kind, each the image of the unit box."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many cells there are."""

    @abc.abstractmethod
    def nodes(self, degree: int) -> np.ndarray:
        """Where (C, k, d) the polynomials of a degree are one or zero."""

    @abc.abstractmethod
    def polynomials(self, degree: int, unit: np.ndarray) -> np.ndarray:
        """Values and derivatives (n, k, 1 + d) at points (n, d) of the unit box."""

    @abc.abstractmethod
    def placed(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (C, n, d) and Jacobians (C, n, d, d) of the maps of the unit box there."""

    @abc.abstractmethod
    def located(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n,) of cells and places (n, d) in the unit box; not a number elsewhere."""


@dataclass(frozen=True)
class BoxCells(AbstractCells):
    """Equal boxes that a piece's reference is cut into, with products of polynomials on them."""

    piece: AbstractPiece
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        return int(np.prod(self.counts))

    @cached_property
    def size(self) -> np.ndarray:
        """The sides (d,) of a box."""
        lower, upper = (np.asarray(corner, float) for corner in self.piece.corners)
        return (upper - lower) / np.asarray(self.counts)

    @cached_property
    def lower(self) -> np.ndarray:
        """The lower corners (C, d), the last axis running fastest."""
        index = np.asarray(list(itertools.product(*map(range, self.counts))), float)
        return np.asarray(self.piece.corners[0]) + self.size * index

    def nodes(self, degree: int) -> np.ndarray:
        line = np.asarray(lobatto_nodes(degree))
        return self.placed(tensor_points(line, len(self.counts)))[0]

    def polynomials(self, degree: int, unit: np.ndarray) -> np.ndarray:
        return tensor_lagrange(degree, unit)

    def placed(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xi = self.lower[:, None, :] + self.size * unit
        points, jacobians = _mapped(self.piece, xi.reshape(-1, xi.shape[2]))
        shape = (*xi.shape, xi.shape[2])
        return points.reshape(xi.shape), (jacobians * self.size).reshape(shape)

    def located(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xi = inside(self.piece, points)
        scaled = (xi - np.asarray(self.piece.corners[0])) / self.size
        known = np.nan_to_num(np.floor(scaled))
        index = np.clip(known, 0, np.asarray(self.counts) - 1).astype(int)
        return np.asarray(np.ravel_multi_index(tuple(index.T), self.counts)), scaled - index


@dataclass(frozen=True)
class MeshCells(AbstractCells):
    """The cells of one kind of a mesh: polynomials of a total degree on segments, triangles and
    tetrahedra, products of polynomials on quadrilaterals and hexahedra."""

    piece: AbstractPiece
    map: Strung

    @property
    def kind(self) -> Kind:
        """What the cells are."""
        return self.map.kind

    @property
    def count(self) -> int:
        return len(self.map.corners)

    def nodes(self, degree: int) -> np.ndarray:
        if self.kind.is_simplex:
            barycentric = simplex_nodes(degree, self.kind.dimension)
            return np.einsum("kc,mcd->mkd", barycentric, self.map.corners)
        line = np.asarray(lobatto_nodes(degree))
        return self.placed(tensor_points(line, self.kind.dimension))[0]

    def polynomials(self, degree: int, unit: np.ndarray) -> np.ndarray:
        make = simplex_lagrange if self.kind.is_simplex else tensor_lagrange
        return make(degree, unit)

    def placed(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        corners = np.repeat(self.map.corners, len(unit), axis=0)
        local = np.tile(unit, (self.count, 1))
        shape = (self.count, *unit.shape)
        points, slopes = self.kind.images(corners, local), self.kind.slopes(corners, local)
        return points.reshape(shape), slopes.reshape(*shape, shape[2])

    def located(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xi = self.piece.coordinates(points)
        outside = np.isnan(xi[:, 0])
        cells, unit = self.map.local(np.where(outside[:, None], 0.0, xi))
        return cells, np.where(outside[:, None], np.nan, unit)


def cells_of(piece: AbstractPiece, counts: tuple[int, ...]) -> AbstractCells:
    """The cells of one piece: those of a mesh as they are, a patch cut into boxes."""
    map_: Any = getattr(piece, "map", None)
    return MeshCells(piece, map_) if isinstance(map_, Strung) else BoxCells(piece, counts)


def inside(piece: AbstractPiece, points: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """Points (n, d) of a piece in its reference; not a number for others."""
    if not isinstance(piece, Face) and hasattr(piece, "map"):
        return piece.coordinates(points)
    lower, upper = (np.asarray(corner, float) for corner in piece.corners)
    near = np.all((points >= lower - tolerance) & (points <= upper + tolerance), axis=1)
    return np.where(near[:, None], np.clip(points, lower, upper), np.nan)


def _mapped(piece: AbstractPiece, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) and Jacobians (n, d, d) of the map of a piece at reference points (n, d)."""
    map_: Any = getattr(piece, "map", None)
    if map_ is None:
        return xi, np.broadcast_to(np.eye(xi.shape[1]), (len(xi), *(xi.shape[1],) * 2))
    return map_(xi), map_.jacobian(xi)
