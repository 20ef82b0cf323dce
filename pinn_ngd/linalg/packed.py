"""Symmetric matrices as the entries of their lower triangles: n (n + 1) / 2 numbers each."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Shaped


def packed_size(n: int) -> int:
    """How many numbers a symmetric matrix (n, n) has."""
    return n * (n + 1) // 2


def pack(matrix: Shaped[Array, "*h n n"]) -> Shaped[Array, "*h packed"]:
    """The lower triangles, row by row."""
    rows, columns = np.tril_indices(matrix.shape[-1])
    return matrix[..., rows, columns]


def unpack(triangle: Shaped[Array, "*h packed"], n: int) -> Shaped[Array, "*h n n"]:
    """Inverse of `pack` for symmetric matrices. Raises ValueError for another number of entries."""
    if triangle.shape[-1] != packed_size(n):
        raise ValueError(
            f"`triangle` has {triangle.shape[-1]} entries, and a symmetric matrix {n} x {n} has"
            f" {packed_size(n)}."
        )
    rows, columns = np.tril_indices(n)
    places = np.zeros((n, n), int)
    places[rows, columns] = places[columns, rows] = np.arange(packed_size(n))
    return triangle[..., places]


class Statistic(NamedTuple):
    """The shape of a factor of the curvature: symmetric matrices (*h, n, n), or a diagonal (n,)."""

    shape: tuple[int, ...]

    @property
    def is_diagonal(self) -> bool:
        """Whether it is a vector."""
        return len(self.shape) == 1

    @property
    def numbers(self) -> int:
        """How many numbers are kept, and sent, of it."""
        if self.is_diagonal:
            return self.shape[0]
        return math.prod(self.shape[:-2]) * packed_size(self.shape[-1])

    @property
    def factored(self) -> int:
        """How many numbers its eigenvalues and eigenvectors are."""
        return self.shape[0] if self.is_diagonal else math.prod(self.shape[:-1]) + self.entries

    @property
    def entries(self) -> int:
        """How many numbers it is, with both triangles."""
        return math.prod(self.shape)

    def pack(self, array: Array) -> Shaped[Array, " numbers"]:
        """The numbers of it in a row."""
        return array if self.is_diagonal else pack(array).reshape(-1)

    def unpack(self, numbers: Shaped[Array, " numbers"]) -> Array:
        """Inverse of `pack`."""
        if self.is_diagonal:
            return numbers
        return unpack(numbers.reshape(*self.shape[:-2], -1), self.shape[-1])
