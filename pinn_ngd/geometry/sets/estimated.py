"""Measures of sets that are known by who lies in them, with their standard errors."""

import abc
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..region import AbstractPiece

SCRAMBLES = 16  # independent ones, whose spread tells the error
POINTS = 12  # the power of two of points in each


class AbstractInBox(AbstractPiece):
    """A set in a box, known by who lies in it, as a piece: its reference is the box."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    @abc.abstractmethod
    def share(self) -> "Share":
        """The share of the box that the set takes."""

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point."""
        return len(self.lower)

    @property
    def free_axes(self) -> tuple[int, ...]:
        return tuple(range(self.dimension))

    @property
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.lower, self.upper

    @property
    def reference_measure(self) -> float:
        return math.prod(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def acceptance(self) -> float:
        return self.share.value

    @property
    def rejects(self) -> bool:
        return True


class Share(NamedTuple):
    """The share of a box that a set takes, and its standard error."""

    value: float
    error: float


def share_of_box(
    inside: Callable[[np.ndarray], np.ndarray], lower: np.ndarray, upper: np.ndarray
) -> Share:
    """By `SCRAMBLES` scrambled Sobol sequences; raises ValueError where no point lies inside."""
    from scipy.stats import qmc

    free = np.flatnonzero(upper > lower)
    found = []
    for seed in range(SCRAMBLES):
        unit = np.zeros((2**POINTS, len(lower)))
        rng = np.random.default_rng([20_011, seed])
        unit[:, free] = qmc.Sobol(len(free), scramble=True, rng=rng).random_base2(POINTS)
        found.append(np.mean(inside(lower + (upper - lower) * unit)))
    if not np.any(found):
        raise ValueError(
            f"the set is empty: none of {SCRAMBLES * 2**POINTS} points of the box from "
            f"{lower.tolist()} to {upper.tolist()} lies in it, so look at the signs of its "
            "distances (negative inside), or give a smaller box."
        )
    return Share(float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(SCRAMBLES)))
