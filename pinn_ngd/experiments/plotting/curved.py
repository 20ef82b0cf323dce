"""Solutions on curved domains: colored triangles in the plane, a masked slice elsewhere."""

import itertools
from typing import Any

import numpy as np

from ...geometry.domains import Domain, SpaceTime
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
    return [piece.grid(65) for piece in domain.boundary().pieces]


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


def _grid_triangles(n: int) -> np.ndarray:
    """Two triangles for every cell of an n x n grid."""
    lower = np.asarray([i * n + j for i, j in itertools.product(range(n - 1), repeat=2)])
    pairs = [(lower, lower + n, lower + 1), (lower + n, lower + n + 1, lower + 1)]
    return np.concatenate([np.stack(pair, axis=1) for pair in pairs])
