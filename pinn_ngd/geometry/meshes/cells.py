"""Points and cells as somebody hands them in: looked at, turned, and their outer facets found."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from .kinds import KINDS, Kind

Blocks: TypeAlias = tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True, eq=False)
class CellBlocks:
    """Points (n, d) and blocks of cells (m, c), numbers of points, each block of one kind.

    Two of them are equal where all their numbers are.
    """

    points: np.ndarray
    blocks: Blocks

    @property
    def fills_space(self) -> bool:
        """Whether the cells have as many dimensions as the points have coordinates."""
        return KINDS[self.blocks[0][0]].dimension == self.points.shape[1]

    @property
    def count(self) -> int:
        """How many cells there are."""
        return sum(len(cells) for _, cells in self.blocks)

    @cached_property
    def centers(self) -> np.ndarray:
        """The means (m, d) of the corners of all cells."""
        return np.concatenate([self.points[cells].mean(axis=1) for _, cells in self.blocks])

    def kept(self, chosen: np.ndarray) -> "CellBlocks":
        """The cells of a mask (m,), on the same points."""
        ends = np.cumsum([len(cells) for _, cells in self.blocks])[:-1]
        parts = zip(self.blocks, np.split(chosen, ends), strict=True)
        blocks = tuple((name, cells[mask]) for (name, cells), mask in parts if mask.any())
        return CellBlocks(self.points, blocks)

    @cached_property
    def outer_facets(self) -> Blocks:
        """The facets that only one cell has, their normals pointing outwards.

        Raises ValueError where more than two cells share one.
        """
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for name, cells in self.blocks:
            kind = KINDS[name]
            for facet in kind.facets:
                group = found.setdefault(kind.facet, [])
                group.append((cells[:, list(facet)], self.points[cells].mean(axis=1)))
        return tuple((name, self._single(name, group)) for name, group in sorted(found.items()))

    def _single(self, name: str, group: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        facets = np.concatenate([facets for facets, _ in group])
        insides = np.concatenate([inside for _, inside in group])
        _, first, owners = np.unique(keys(facets), axis=0, return_index=True, return_counts=True)
        if owners.max() > 2:
            wrong = facets[first[int(np.argmax(owners))]]
            raise ValueError(
                f"{owners.max()} cells share the facet of the points {wrong.tolist()}: cells must "
                "not overlap, so leave all but two of them out."
            )
        outer = np.sort(first[owners == 1])
        return self._outward(name, facets[outer], insides[outer])

    def _outward(self, name: str, facets: np.ndarray, insides: np.ndarray) -> np.ndarray:
        """Facets turned so that their normals point away from a point inside each cell."""
        if name == "vertex" or not len(facets):
            return facets
        kind, corners = KINDS[name], self.points[facets]
        middle = np.full((len(facets), kind.dimension), 0.5)
        slopes = kind.slopes(corners, middle)
        away = kind.images(corners, middle) - insides
        inward = np.linalg.det(np.concatenate([away[:, :, None], slopes], axis=2)) < 0
        return np.where(inward[:, None], kind.turned(facets), facets)

    @cached_property
    def _digest(self) -> bytes:
        found = hashlib.sha256(self.points.tobytes())
        for name, cells in self.blocks:
            found.update(name.encode() + cells.tobytes())
        return found.digest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, CellBlocks) and self._digest == other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)


def keys(facets: np.ndarray) -> np.ndarray:
    """What says whether two facets are the same, whatever the order of their corners."""
    return np.sort(facets, axis=1)


def as_cells(points: Any, cells: Any) -> CellBlocks:
    """Points and cells, those that fill space turned so that det J > 0.

    Raises ValueError for what makes no mesh.
    """
    where = _points(points)
    given = _by_kind(cells) if isinstance(cells, Mapping | list) and _is_named(cells) else None
    if given is None:
        array = np.asarray(cells)
        given = {_kind_of(array, where.shape[1]): array}
    blocks = tuple((name, _block(name, block, where)) for name, block in given.items())
    dimensions = {KINDS[name].dimension for name, _ in blocks}
    if len(dimensions) != 1:
        raise ValueError(
            f"`cells` have the dimensions {sorted(dimensions)}: give cells of one dimension, and "
            "name parts of the boundary by `boundaries`."
        )
    return CellBlocks(where, blocks)


def _by_kind(cells: Any) -> dict[str, Any]:
    """Blocks of cells by their kind, those of one kind behind one another."""
    found: dict[str, Any] = {}
    for name, block in cells.items() if isinstance(cells, Mapping) else cells:
        rows = np.asarray(block)
        found[name] = np.concatenate([found[name], rows]) if name in found else rows
    return found


def _is_named(cells: Any) -> bool:
    pairs = [cell for cell in cells if isinstance(cell, tuple)]
    return isinstance(cells, Mapping) or any(isinstance(pair[0], str) for pair in pairs)


def _points(points: Any) -> np.ndarray:
    where = np.asarray(points, float)
    where = where[:, None] if where.ndim == 1 else where
    if where.ndim != 2 or where.size == 0 or where.shape[1] > 3 or not np.isfinite(where).all():
        raise ValueError(
            f"`points` have shape {where.shape}: give finite numbers (n, d), one row a point, in "
            "one, two or three dimensions."
        )
    return where


def _kind_of(cells: np.ndarray, dimension: int) -> str:
    """The kind of cells (m, c) in a space."""
    by_corners = {2: "line", 3: "triangle", 4: "tetra" if dimension == 3 else "quad"}
    found = by_corners.get(cells.shape[1]) if cells.ndim == 2 else None
    found = "hexahedron" if cells.ndim == 2 and cells.shape[1] == 8 else found
    if found is None:
        raise ValueError(
            f"`cells` have shape {cells.shape}: give numbers of points (m, 2) for segments, (m, 3) "
            "for triangles, (m, 4) for tetrahedra or quadrilaterals, or a dict of such arrays."
        )
    return found


def _block(name: str, cells: Any, points: np.ndarray) -> np.ndarray:
    if name not in KINDS:
        raise ValueError(
            f"`cells` of the kind {name!r} are not known: give {', '.join(KINDS)}, with straight "
            "edges, or cut the others into these."
        )
    kind, numbers = KINDS[name], np.asarray(cells)
    if numbers.ndim != 2 or numbers.shape[1] != kind.corners or len(numbers) == 0:
        raise ValueError(
            f"`cells` of the kind {name!r} have shape {numbers.shape}: give at least one, with "
            f"{kind.corners} points each."
        )
    if not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"`cells` are {numbers.dtype}: give whole numbers, those of points.")
    if kind.dimension > points.shape[1]:
        raise ValueError(
            f"`cells` of the kind {name!r} need {kind.dimension} coordinates, and `points` have "
            f"{points.shape[1]}: give points (n, {kind.dimension})."
        )
    outside = (numbers < 0) | (numbers >= len(points))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise ValueError(
            f"cell {row} names the point {numbers[row, column]}, which is missing: there are "
            f"{len(points)} points, 0 to {len(points) - 1}, so correct the number."
        )
    return _oriented(kind, numbers.astype(np.int64), points)


def _oriented(kind: Kind, cells: np.ndarray, points: np.ndarray) -> np.ndarray:
    corners = points[cells]
    size = np.max(np.ptp(corners, axis=1), axis=1) ** kind.dimension
    flat = kind.measures(corners) <= 1e-14 * size
    signs = np.ones(len(cells))
    if kind.dimension == points.shape[1]:
        signs = kind.orientations(corners)
    wrong = flat | (signs == 0)
    if flat.all():
        raise ValueError(
            "the mesh has no volume: all of its cells are flat, so give points that do not lie on "
            "a line or in a plane."
        )
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"cell {i} of the points {cells[i].tolist()} has no volume, or folds over itself: "
            "leave it out, or correct the order of its points."
        )
    return np.where(signs[:, None] < 0, kind.turned(cells), cells)
