"""The reference coordinates of points: a map inverted by Gauss-Newton steps from a grid."""

import itertools
from typing import Any

import numpy as np

from .maps import AbstractMap

TOLERANCE = 1e-9  # times the size of a patch: how far a point on it may be from its image
LAST_DIGITS = 32.0  # units of rounding of the points, where these are coarser
STARTS = 3  # nearest points of the grid from which the inversion is tried
STEPS = 25


def tree_of(points: np.ndarray) -> Any:
    """The points (n, d) by their neighborhood; SciPy is loaded when somebody needs it."""
    from scipy.spatial import KDTree

    return KDTree(points)


def inverted(
    map_: AbstractMap, corners: tuple, free: tuple[int, ...], points: np.ndarray
) -> np.ndarray:
    """Reference points (n, k) whose images are `points` (n, d); not a number where there are none.

    Newton's method, Gauss-Newton on surfaces, kept in the reference box.
    """
    lower, upper = (np.asarray(corner, float) for corner in corners)
    tolerance, points = _tolerance(points), np.asarray(points, float)
    if len(points) == 0:
        return np.zeros((0, len(lower)))
    exact = map_.inverse(points)
    if exact is not None:
        return _kept(map_, np.clip(exact, lower, upper), points, (lower, upper), tolerance)
    grid = sample(lower, upper, free, _per_axis(len(free)))
    images = map_(grid)
    size = max(float(np.linalg.norm(np.ptp(images, axis=0))), 1e-300)
    found = np.full((len(points), len(lower)), np.nan)
    starts = min(STARTS, len(grid))
    gaps, nearest = tree_of(images).query(points, k=list(range(1, starts + 1)))
    near = gaps[:, 0] <= _spacing(images, len(free)) + tolerance * size
    for start in range(starts):
        left = np.flatnonzero(near & np.isnan(found[:, 0]))
        if left.size == 0:
            break
        xi = _descend(map_, (lower, upper), list(free), grid[nearest[left, start]], points[left])
        good = np.linalg.norm(map_(xi) - points[left], axis=1) <= tolerance * size
        found[left[good]] = xi[good]
    return found


def _tolerance(points: np.ndarray) -> float:
    """Relative to the size of a patch, for points that are known to so many digits."""
    single = np.issubdtype(points.dtype, np.floating) and points.dtype != np.float64
    return max(TOLERANCE, LAST_DIGITS * float(np.finfo(points.dtype).eps)) if single else TOLERANCE


def _kept(
    map_: AbstractMap, xi: np.ndarray, points: np.ndarray, corners: tuple, tolerance: float
) -> np.ndarray:
    """Reference points, those left out whose images are others than the points."""
    size = map_.extent(*corners) or 1.0
    good = np.linalg.norm(map_(xi) - points, axis=1) <= tolerance * size
    return np.where(good[:, None], xi, np.nan)


def _spacing(images: np.ndarray, free: int) -> float:
    """No point of a patch is farther than this from an image of the grid."""
    if free == 0:
        return 0.0
    shaped = images.reshape(*(_per_axis(free),) * free, -1)
    steps = [np.linalg.norm(np.diff(shaped, axis=axis), axis=-1).max() for axis in range(free)]
    return float(np.sum(steps))


def sample(lower: np.ndarray, upper: np.ndarray, free: tuple[int, ...], n: int) -> np.ndarray:
    """An equispaced grid of a reference box, corners included, n points along every free axis."""
    lines = [
        np.linspace(a, b, n) if i in free else np.asarray([a])
        for i, (a, b) in enumerate(zip(lower, upper, strict=True))
    ]
    return np.asarray(list(itertools.product(*lines)))


def _per_axis(free: int) -> int:
    return {0: 1, 1: 65, 2: 25, 3: 9}.get(free, 5)


def _descend(
    map_: AbstractMap, corners: tuple, free: list[int], xi: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Steps from the start `xi` (n, k), each point until it moves no more."""
    xi, (lower, upper) = xi.copy(), corners
    moving = np.arange(len(xi) if free else 0)
    for _ in range(STEPS):
        if moving.size == 0:
            break
        here = xi[moving]
        step = _gauss_newton(map_.jacobian(here)[:, :, free], points[moving] - map_(here))
        new = np.clip(here[:, free] + step, lower[free], upper[free])
        change = np.max(np.abs(new - here[:, free]) / (upper - lower)[free], axis=1)
        xi[np.ix_(moving, np.asarray(free))] = new
        moving = moving[change > 1e-14]
    return xi


def _gauss_newton(jacobian: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """argmin |J step - gap|, with a trace of damping where the columns of J collapse."""
    transposed = np.swapaxes(jacobian, 1, 2)
    normal = transposed @ jacobian
    trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    damped = normal + (1e-15 * trace + 1e-300) * np.eye(normal.shape[1])
    return np.linalg.solve(damped, transposed @ gap[:, :, None])[:, :, 0]
