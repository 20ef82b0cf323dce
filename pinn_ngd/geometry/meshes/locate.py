"""In which cell a point lies: the cells with the nearest centers first, until no other can be."""

import numpy as np

from ..patches.inverse import tree_of
from .kinds import Kind, edges

INSIDE = 1e-9  # of the unit box: so far a point may lie outside of its cell
FIRST = 6  # cells with the nearest centers that are tried first; then four times as many
STEPS = 30  # of Newton's method in a quadrilateral or hexahedron


class Search:
    """The cells of one kind with the corners (m, c, d), by their neighborhood."""

    def __init__(self, kind: Kind, corners: np.ndarray):
        self.kind, self.corners, centers = kind, corners, corners.mean(axis=1)
        self.radius = float(np.linalg.norm(corners - centers[:, None], axis=2).max()) * (1 + INSIDE)
        self.sizes = np.linalg.norm(np.ptp(corners, axis=1), axis=1)
        self.tree = tree_of(centers)
        self.inverses = None  # of the affine maps of simplices
        if kind.is_simplex:
            self.inverses = np.linalg.pinv(np.swapaxes(edges(corners), 1, 2))

    def in_cells(self, cells: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of points, each in a cell of its own, and by how much they miss it."""
        corners = self.corners[cells]
        if self.inverses is None:
            inside = _descended(self.kind, corners, points)
        else:
            inside = _collapsed(self.inverses[cells], points - corners[:, 0])
        inside = np.clip(np.nan_to_num(inside), 0.0, 1.0)
        gap = np.linalg.norm(self.kind.images(corners, inside) - points, axis=1)
        return inside, gap / self.sizes[cells]


def located(search: Search, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers (n,) of cells and coordinates (n, k) in them, clipped to the unit box.

    Points of no cell get one that is near.
    """
    kind, corners, radius, tree = search.kind, search.corners, search.radius, search.tree
    count = min(FIRST, len(corners))
    best, gap = np.zeros(len(points), int), np.full(len(points), np.inf)
    where, left, tried = np.zeros((len(points), kind.dimension)), np.arange(len(points)), 0
    left = left[np.isfinite(points).all(axis=1)]
    while left.size:
        far, near = tree.query(points[left], k=list(range(1, count + 1)))
        for j in range(tried, count):
            inner = far[:, j] <= radius
            at, cells = left[inner], near[inner, j]
            found, miss = search.in_cells(cells, points[at])
            better = miss < gap[at]
            rows = at[better]
            best[rows], gap[rows], where[rows] = cells[better], miss[better], found[better]
        left = left[(gap[left] > INSIDE) & (far[:, -1] <= radius)] if count < len(corners) else []
        left, tried, count = np.asarray(left, int), count, min(4 * count, len(corners))
    return best, where


def _collapsed(inverses: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Quotients p_j / p_{j-1} with x - v_0 = sum_j p_j (v_j - v_{j-1})."""
    p = np.einsum("nkd,nd->nk", inverses, ways)
    before = np.concatenate([np.ones((len(p), 1)), p[:, :-1]], axis=1)
    return p / np.where(np.abs(before) > 1e-300, before, 1.0)


def _descended(kind: Kind, corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Newton's method from the middle of each cell, kept near it."""
    xi = np.full((len(points), kind.dimension), 0.5)
    for _ in range(STEPS):
        inverse = np.linalg.pinv(kind.slopes(corners, xi))
        step = np.einsum("nkd,nd->nk", inverse, points - kind.images(corners, xi))
        xi = np.clip(xi + step, -0.5, 1.5)
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    return xi
