"""Solutions on curved domains: colored triangles in the plane, a masked slice elsewhere."""

import itertools
import math
from typing import Any

import numpy as np

from ...geometry.domains import Domain, SpaceTime
from ...geometry.meshes import Mesh
from ...geometry.meshes.kinds import KINDS
from ...geometry.patches import Patch

PATCH_POINTS = 4000  # of all patches together
LEAST = 9  # along an axis of a patch


def is_box(domain: Domain) -> bool:
    """Whether the domain fills its bounding box."""
    return domain.pieces == (domain,) and not domain.pieces[0].rejects


def is_plane(domain: Domain) -> bool:
    """Whether the domain is a curved part of the plane, which triangles can fill to its edge."""
    plane = domain.dimension == 2 and domain.fills_space and not isinstance(domain, SpaceTime)
    return plane and all(isinstance(piece, Patch) for piece in domain.pieces)


def triangles(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) of a plane domain and triangles (m, 3) between them, patch by patch."""
    if isinstance(domain, Mesh):
        return _mesh_triangles(domain)
    count = max(LEAST, round((PATCH_POINTS / len(domain.pieces)) ** 0.5))
    points, cells = [], []
    for i, patch in enumerate(domain.pieces):
        assert isinstance(patch, Patch)
        points.append(patch.grid(count))
        cells.append(_grid_triangles(count) + i * count**2)
    return np.concatenate(points), np.concatenate(cells)


def outside(domain: Domain, points: np.ndarray) -> np.ndarray:
    """Which points (n, d) of a slice are not to be drawn."""
    return np.zeros(len(points), bool) if is_box(domain) else ~np.asarray(domain.contains(points))


def outline(domain: Domain) -> list[np.ndarray]:
    """The edges of a plane domain as lines (n, 2)."""
    boundary = domain.boundary()
    if not isinstance(boundary, Mesh):
        return [piece.grid(65) for piece in boundary.pieces]
    gap = np.full((1, 2), np.nan)  # between two facets there is no line
    facets = boundary.points[np.concatenate([cells for _, cells in boundary.cells.blocks])]
    return [np.concatenate([part for facet in facets for part in (facet, gap)])]


def draw_triangles(
    ax: Any,
    domain: Domain,
    points: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    **colors: Any,
) -> Any:
    """Colors between the points, and the boundary as a thin line."""
    finite = np.where(np.isfinite(values), values, 0.0)
    kept = cells[np.isfinite(values)[cells].all(axis=1)]
    image = ax.tripcolor(
        points[:, 0], points[:, 1], finite, triangles=kept, shading="gouraud", **colors
    )
    for line in outline(domain):
        ax.plot(line[:, 0], line[:, 1], color="black", linewidth=0.4)
    return image


def _mesh_triangles(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Every cell in so many triangles that there are some thousands."""
    count = max(2, 1 + math.ceil((PATCH_POINTS / mesh.cells.count) ** 0.5))
    line = np.linspace(0.0, 1.0, count)
    local = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    points = [
        KINDS[name].images(np.repeat(mesh.points[cells], len(local), axis=0),
                           np.tile(local, (len(cells), 1)))
        for name, cells in mesh.cells.blocks
    ]  # fmt: skip
    starts = np.arange(mesh.cells.count) * len(local)
    cells = _grid_triangles(count) + starts[:, None, None]
    return np.concatenate(points), cells.reshape(-1, 3)


def _grid_triangles(n: int) -> np.ndarray:
    """Two triangles for every cell of an n x n grid."""
    lower = np.asarray([i * n + j for i, j in itertools.product(range(n - 1), repeat=2)])
    pairs = [(lower, lower + n, lower + 1), (lower + n, lower + n + 1, lower + 1)]
    return np.concatenate([np.stack(pair, axis=1) for pair in pairs])
