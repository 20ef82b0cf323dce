"""Meshes as domains: cells that make up a domain or a surface, with named parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ..._names import choose
from ..domains import Box, Interval
from ..faces import Face
from ..patches.maps import identity
from ..patches.patch import Patch, unchecked
from ..patches.region import Patches
from .cells import Blocks, CellBlocks, as_cells, keys
from .strung import Strung, ordered

NEAR = 1e-6  # of the size of a facet: how far outside there must be no cell


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Mesh(Patches):
    """A domain, or a surface, in cells: segments, triangles, quadrilaterals, tetrahedra, hexahedra.

    `points` are (n, d), or (n,) on a line, and `cells` numbers of points: (m, 2) segments, (m, 3)
    triangles, (m, 4) tetrahedra in space and quadrilaterals in the plane, (m, 8) hexahedra, or a
    dict of such arrays under the names of meshio, as {"triangle": ..., "quad": ...}. Corners are in
    the order of VTK; cells that fill their space may have either orientation and are turned where
    det J < 0. Those of a surface keep theirs: its normals are right-handed, and lie to the right of
    a curve.

    `regions` name cells, by their numbers or a mask of all of them; `boundaries` name facets, by
    the points of each (f, c) or by a condition on their centers, a function of one point (d,).

    A Gauss rule with n points takes n along each axis of every cell: on triangles it is exact for
    polynomials of degree 2 n - 2, on tetrahedra 2 n - 3, on parallelograms 2 n - 1 in each
    variable. All cells are evaluated in arrays. Random points are uniform in the mesh.

    Raises ValueError for cells that name a missing point, that are flat or fold over themselves, of
    an unknown kind, or of several dimensions, and for names of cells that are missing.
    """

    cells: CellBlocks
    regions: tuple[tuple[str, tuple[int, ...]], ...]
    boundaries: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        points: Any,
        cells: Any,
        *,
        regions: Mapping[str, Any] | None = None,
        boundaries: Mapping[str, Any] | None = None,
    ):
        given = cells if isinstance(cells, CellBlocks) else as_cells(points, cells)
        numbers = {name: _numbers(name, of, given.count) for name, of in (regions or {}).items()}
        facets = {name: _facets(name, of) for name, of in (boundaries or {}).items()}
        self._set(given, tuple(numbers.items()), tuple(facets.items()))

    def _set(self, cells: CellBlocks, regions: tuple, boundaries: tuple) -> None:
        strings = tuple(_string(cells.points, *block) for block in cells.blocks)
        fields = {"patches": strings, "parts": (), "cells": cells, "regions": regions}
        for name, value in {**fields, "boundaries": boundaries}.items():
            object.__setattr__(self, name, value)

    @property
    def points(self) -> np.ndarray:
        """All points (n, d) that were given."""
        return self.cells.points

    @cached_property
    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        used = np.unique(np.concatenate([block.ravel() for _, block in self.cells.blocks]))
        return self.points[used].min(axis=0), self.points[used].max(axis=0)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of parts of the boundary."""
        return tuple(name for name, _ in self.boundaries)

    @property
    def region_names(self) -> tuple[str, ...]:
        """The names of groups of cells."""
        return tuple(name for name, _ in self.regions)

    def region(self, name: str) -> "Mesh":
        """The cells of that name, a domain of their own.

        Raises ValueError for an unknown name.
        """
        chosen = np.zeros(self.cells.count, bool)
        chosen[list(choose(name, dict(self.regions), "region of the mesh"))] = True
        return Mesh(None, self.cells.kept(chosen))

    def where(self, holds: Callable[[np.ndarray], Any]) -> "Mesh":
        """The cells, or facets of a boundary, at whose center (d,) the condition holds.

        Raises ValueError where it holds for none.
        """
        chosen = np.asarray([bool(holds(center)) for center in self.cells.centers])
        if not chosen.any():
            raise ValueError("the condition holds at the center of no cell: nothing is left.")
        return Mesh(None, self.cells.kept(chosen))

    def boundary(self, name: str | None = None) -> Any:
        """The outer facets with outward normals, or those of that name (`names` are all there are).

        Raises ValueError for an unknown name, for facets of a name that are not on the boundary,
        for a surface, and where cells do not meet in whole facets.
        """
        if name is None:
            return self._boundary
        of = choose(name, dict(self.boundaries), "part of the boundary")
        if callable(of):
            return self._boundary.where(of)
        chosen = [(kind, _members(facets, of.facets)) for kind, facets in self._outer]
        found = sum(int(mask.sum()) for _, mask in chosen)
        if found < len(of.facets):
            raise ValueError(
                f"{len(of.facets) - found} of the facets called {name!r} are not on the boundary "
                "of the mesh: name facets that one cell alone has."
            )
        pairs = zip(self._outer, chosen, strict=True)
        named = tuple((k, f[mask]) for (k, f), (_, mask) in pairs)
        return _surface(self.points, named, self._outer)

    @property
    def _outer(self) -> Blocks:
        if not self.cells.fills_space:
            raise ValueError("a surface in cells has no boundary with normals: take its facets.")
        return self.cells.outer_facets

    @cached_property
    def _boundary(self) -> Any:
        found = _surface(self.points, self._outer, self._outer)
        self._check_fit(found)
        return found

    def _check_fit(self, boundary: Patches) -> None:
        """ValueError where there are cells on both sides of a facet that only one of them has."""
        for patch in boundary.patches:
            middles = np.full((1, len(patch.corners[0])), 0.5)
            if isinstance(patch.map, Strung):
                starts = patch.map.starts
                along = (starts[:-1] + starts[1:]) / 2
                middles = np.column_stack([along, np.full((len(along), middles.shape[1] - 1), 0.5)])
            else:
                middles = np.asarray(patch.corners[:1])
            normals = patch.normals(middles)
            assert normals is not None
            size = NEAR * min(self.extents) / (1 + len(middles)) ** (1 / self.dimension)
            beyond = patch.map(middles) + size * normals
            inner = np.asarray(self.contains(beyond))
            if inner.any():
                raise ValueError(
                    f"the cells do not fit together near {beyond[int(np.argmax(inner))]}: let them "
                    "meet in whole facets, without overlap and without a point on an edge."
                )


@dataclass(frozen=True, eq=False)
class _Named:
    """Facets of one name, as numbers of points."""

    facets: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and np.array_equal(self.facets, other.facets)

    def __hash__(self) -> int:
        return hash(self.facets.tobytes())


def _string(points: np.ndarray, name: str, cells: np.ndarray) -> Patch:
    corners = points[cells]
    strung = Strung(name, corners[ordered(corners)])
    k, length = strung.kind.dimension, float(strung.starts[-1])
    box = Interval(0.0, length) if k == 1 else Box((0.0,) * k, (length, *(1.0,) * (k - 1)))
    return unchecked(strung, box)


def _surface(points: np.ndarray, blocks: Blocks, outer: Blocks) -> Any:
    """Facets as a mesh of one dimension less; the ends of a line, some of all, as points."""
    blocks = tuple((name, facets) for name, facets in blocks if len(facets))
    if blocks[0][0] != "vertex":
        return Mesh(None, CellBlocks(points, blocks))
    ends, every = (points[of[0][1][:, 0], 0] for of in (blocks, outer))
    return Patches(
        unchecked(identity(1), Face(0, x, lower=(), upper=(), sign=sign))
        for x, sign in zip(ends.tolist(), _signs(ends, every), strict=True)
    )


def _signs(ends: np.ndarray, every: np.ndarray) -> list[int]:
    """Of all ends of intervals on a line lower and upper ones come in turn."""
    places = np.searchsorted(np.sort(every), ends)
    return [1 if place % 2 else -1 for place in places.tolist()]


def _members(facets: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Which facets are among the named ones."""
    if facets.shape[1] != named.shape[1]:
        return np.zeros(len(facets), bool)
    wanted = {tuple(row) for row in keys(named).tolist()}
    return np.asarray([tuple(row) in wanted for row in keys(facets).tolist()])


def _numbers(name: str, of: Any, count: int) -> tuple[int, ...]:
    chosen = np.asarray(of)
    if chosen.dtype == bool and chosen.shape == (count,):
        chosen = np.flatnonzero(chosen)
    whole = np.issubdtype(chosen.dtype, np.integer) and chosen.ndim == 1 and chosen.size
    if not whole or chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(
            f"the region {name!r} names cells that are missing: give numbers of 0 to {count - 1}, "
            f"or a mask of shape ({count},)."
        )
    return tuple(chosen.tolist())


def _facets(name: str, of: Any) -> Any:
    if callable(of):
        return of
    facets = np.asarray(of)
    if facets.ndim == 1:
        facets = facets[:, None]
    if facets.ndim != 2 or not facets.size or not np.issubdtype(facets.dtype, np.integer):
        raise ValueError(
            f"the boundary {name!r} is given as an array of shape {facets.shape}: give the points "
            "of each facet (f, c), or a condition on their centers."
        )
    return _Named(facets.astype(np.int64))
