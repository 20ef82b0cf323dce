"""The map of all cells of a mesh: one box, cell after cell along its first axis."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..patches.maps import AbstractMap
from .kinds import KINDS, Kind
from .locate import Search, located


@dataclass(frozen=True, eq=False)
class Strung(AbstractMap):
    """The box [0, M] x [0, 1]^{k-1} onto the cells of one kind, M being their measure.

    The first axis runs through the cells one after the other, and each has a part of it as long as
    its measure: points that are uniform in the box are uniform in the mesh. A rule for a box is
    thus a rule for thousands of cells, in arrays. `corners` are (m, c, d). Equal corners make equal
    maps, which is told from a digest.
    """

    name: str
    corners: np.ndarray

    string_axis = 0

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        cell, local = self.local(xi)
        return self.kind.images(self.corners[cell], local)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        cell, local = self.local(xi)
        slopes = self.kind.slopes(self.corners[cell], local)
        slopes[:, :, 0] /= self.lengths[cell][:, None]
        return slopes

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """The cell whose image is nearest, and where in it."""
        cell, local = self._located(points)
        start, stop = self.starts[cell], self.starts[cell + 1]
        along = start + self.lengths[cell] * local[:, 0]
        return np.column_stack([np.minimum(along, np.nextafter(stop, start)), local[:, 1:]])

    def _located(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The last answer is kept: all parts of a mesh ask for the same points in turn."""
        asked = hashlib.sha256(points.tobytes()).digest()
        if asked not in self._answers:
            self._answers.clear()
            self._answers[asked] = located(self._search, points)
        return self._answers[asked]

    @cached_property
    def _answers(self) -> dict[bytes, tuple[np.ndarray, np.ndarray]]:
        return {}

    @cached_property
    def _search(self) -> Search:
        return Search(self.kind, self.corners)

    def extent(self, lower: np.ndarray, upper: np.ndarray) -> float:
        del lower, upper
        return float(np.linalg.norm(np.ptp(self.corners.reshape(-1, self.corners.shape[2]), 0)))

    @property
    def kind(self) -> Kind:
        """What its cells are."""
        return KINDS[self.name]

    @cached_property
    def lengths(self) -> np.ndarray:
        """The measures (m,) of the cells."""
        return self.kind.measures(self.corners)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each cell begins on the first axis, and where the last one ends: (m + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.lengths)])

    def breaks(self) -> np.ndarray:
        return self.starts

    def local(self, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers (n,) of the cells of reference points, and their coordinates in them."""
        cell = np.searchsorted(self.starts, xi[:, 0], side="right") - 1
        cell = np.clip(cell, 0, len(self.corners) - 1)
        along = (xi[:, 0] - self.starts[cell]) / self.lengths[cell]
        return cell, np.column_stack([along, xi[:, 1:]])

    @cached_property
    def _digest(self) -> bytes:
        whole = f"{self.name}{self.corners.shape}".encode() + self.corners.tobytes()
        return hashlib.sha256(whole).digest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Strung) and self._digest == other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)


def ordered(corners: np.ndarray) -> np.ndarray:
    """An order of cells in which neighbors are near: along the curve of Morton (1966)."""
    centers = corners.mean(axis=1)
    low, size = centers.min(axis=0), np.ptp(centers, axis=0).max() or 1.0
    whole = ((centers - low) / size * (2**16 - 1)).astype(np.uint64)
    d, code = whole.shape[1], np.zeros(len(whole), np.uint64)
    for bit in range(16):
        for axis in range(d):
            digit = (whole[:, axis] >> np.uint64(bit)) & np.uint64(1)
            code |= digit << np.uint64(d * bit + axis)
    return np.argsort(code, kind="stable")
