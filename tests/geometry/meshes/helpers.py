"""Meshes of the unit cube in every kind of cells, distorted inside, with exact integrals."""

import itertools

import numpy as np

SPLIT = {  # simplices of a square or cube in the order of `itertools.product`
    1: [(0, 1)],
    2: [(0, 2, 3), (0, 1, 3)],
    3: [(0, a, b, 7) for a, b in ((1, 3), (1, 5), (2, 3), (2, 6), (4, 5), (4, 6))],
}
VTK = {2: (0, 2, 3, 1), 3: (0, 4, 6, 2, 1, 5, 7, 3)}


def cube(dimension, n, *, simplices=True, shift=0.0, seed=0):
    """Points and cells of [0, 1]^d with n cells along an axis, inner points moved at random."""
    points = np.asarray(list(itertools.product(np.linspace(0, 1, n + 1), repeat=dimension)))
    inner = np.all((points > 0) & (points < 1), axis=1)
    moves = np.random.default_rng(seed).uniform(-1, 1, (inner.sum(), dimension))
    points[inner] += shift / n * moves
    strides = (n + 1) ** np.arange(dimension)[::-1]
    lower = np.asarray(list(itertools.product(range(n), repeat=dimension))) @ strides
    corners = np.asarray(list(itertools.product((0, 1), repeat=dimension))) @ strides
    orders = SPLIT[dimension] if simplices else [VTK[dimension]]
    cells = [lower[:, None] + corners[list(order)] for order in orders]
    return points, np.concatenate(cells)
