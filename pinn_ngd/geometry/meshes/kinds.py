"""Kinds of cells: their corners in the order of VTK, their facets, and the maps of their boxes."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..patches.maps import collapsed_slopes


@dataclass(frozen=True)
class Kind:
    """A kind of cells. `facets` are the corners of each facet, which are of the kind `facet`."""

    name: str
    dimension: int
    corners: int
    facets: tuple[tuple[int, ...], ...]
    facet: str

    @property
    def is_simplex(self) -> bool:
        """Whether the cell is a segment, a triangle or a tetrahedron, and its map affine."""
        return self.corners == self.dimension + 1

    def images(self, corners: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Points (n, d) at the coordinates (n, k) of cells with the corners (n, c, d)."""
        if self.is_simplex:
            return corners[:, 0] + np.einsum(
                "nj,njd->nd", np.cumprod(local, axis=1), edges(corners)
            )
        return np.einsum("nc,ncd->nd", _shapes(local), corners)

    def slopes(self, corners: np.ndarray, local: np.ndarray) -> np.ndarray:
        """The matrices dx_i / dlocal_j (n, d, k) there."""
        if self.is_simplex:
            return np.einsum("nje,nji->nei", edges(corners), collapsed_slopes(local))
        return np.einsum("nck,ncd->ndk", _shape_slopes(local), corners)

    def measures(self, corners: np.ndarray) -> np.ndarray:
        """Length, area or volume (m,) of each cell."""
        if self.is_simplex:
            return gram_roots(np.swapaxes(edges(corners), 1, 2)) / math.factorial(self.dimension)
        nodes, weights = np.polynomial.legendre.leggauss(3)
        total = np.zeros(len(corners))
        for places in itertools.product(range(3), repeat=self.dimension):
            local = np.tile((nodes[list(places)] + 1) / 2, (len(corners), 1))
            weight = np.prod(weights[list(places)] / 2)
            total += weight * gram_roots(self.slopes(corners, local))
        return total

    def orientations(self, corners: np.ndarray) -> np.ndarray:
        """Signs (m,) of det J in space-filling cells; 0 where it vanishes or changes its sign."""
        if self.is_simplex:
            values = np.linalg.det(edges(corners))[:, None]
        else:
            ends = [np.tile(np.asarray(c, float), (len(corners), 1)) for c in cube(self.dimension)]
            values = np.stack([np.linalg.det(self.slopes(corners, end)) for end in ends], axis=1)
        size = np.max(np.ptp(corners, axis=1), axis=1, keepdims=True) ** self.dimension
        signs = np.sign(np.where(np.abs(values) > FLAT * size, values, 0.0))
        return np.where(np.all(signs == signs[:, :1], axis=1), signs[:, 0], 0.0)

    def turned(self, cells: np.ndarray) -> np.ndarray:
        """The same cells with the other orientation."""
        order = list(range(self.corners))
        if self.is_simplex:
            order[-2:] = order[:-3:-1]
        else:  # the loops of four corners run backwards
            order = [4 * (i // 4) + (-i) % 4 for i in order]
        return cells[:, order]


FLAT = 1e-14  # of the size of a cell to the power of its dimension: no volume

KINDS = {
    kind.name: kind
    for kind in (
        Kind("line", 1, 2, ((0,), (1,)), "vertex"),
        Kind("triangle", 2, 3, ((1, 2), (2, 0), (0, 1)), "line"),
        Kind("tetra", 3, 4, ((1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)), "triangle"),
        Kind("quad", 2, 4, ((0, 1), (1, 2), (2, 3), (3, 0)), "line"),
        Kind(
            "hexahedron",
            3,
            8,
            ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
            "quad",
        ),
    )
}


def edges(corners: np.ndarray) -> np.ndarray:
    """v_j - v_{j-1} of simplices: (m, k, d)."""
    return np.diff(corners, axis=1)


def gram_roots(matrices: np.ndarray) -> np.ndarray:
    """sqrt(det J^T J) of matrices (n, d, k): |det J| where they are square."""
    if matrices.shape[1] == matrices.shape[2]:
        return np.abs(np.linalg.det(matrices))
    return np.sqrt(np.abs(np.linalg.det(np.swapaxes(matrices, 1, 2) @ matrices)))


def cube(dimension: int) -> list[tuple[int, ...]]:
    """The corners of the unit square or cube in the order of VTK: around, then upwards."""
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    return around if dimension == 2 else [(*c, z) for z in (0, 1) for c in around]


def _factors(local: np.ndarray) -> np.ndarray:
    """xi_j or 1 - xi_j, one for each corner: (n, c, k)."""
    at = np.asarray(cube(local.shape[1]), float)
    return at * local[:, None] + (1 - at) * (1 - local[:, None])


def _shapes(local: np.ndarray) -> np.ndarray:
    """The multilinear functions that are one at one corner and zero at the others: (n, c)."""
    return np.prod(_factors(local), axis=2)


def _shape_slopes(local: np.ndarray) -> np.ndarray:
    """Their derivatives (n, c, k)."""
    factors, at = _factors(local), np.asarray(cube(local.shape[1]), float)
    slopes = np.empty_like(factors)
    for j in range(local.shape[1]):
        others = np.prod(np.delete(factors, j, axis=2), axis=2)
        slopes[:, :, j] = (2 * at[:, j] - 1) * others
    return slopes
