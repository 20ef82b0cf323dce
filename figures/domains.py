"""Curved domains: their patches, Gauss points, boundary points and normals."""

from typing import Any

import numpy as np

import pinn_ngd
from figures.recipes import Job, Made, recorded
from pinn_ngd import Box, GaussLegendre, Mesh, Shape, Sobol
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLUE, GRAY, VERMILION, new_figure

ANGLES = np.arange(10) * np.pi / 5
STAR = np.where(np.arange(10) % 2, 0.45, 1.0)[:, None] * np.stack(
    [np.cos(ANGLES), np.sin(ANGLES)], axis=1
)
SQUARE = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
RINGS = np.concatenate([np.zeros((1, 2)), 0.5 * STAR[::2], STAR])  # center, inner ring, star
CELLS = [(0, 1 + i, 1 + (i + 1) % 5) for i in range(5)]
CELLS += [(1 + i, 6 + 2 * i, 7 + 2 * i) for i in range(5)]
CELLS += [(1 + i, 7 + 2 * i, 1 + (i + 1) % 5) for i in range(5)]
CELLS += [(1 + i, 5 + 2 * i if i else 15, 6 + 2 * i) for i in range(5)]
PLATE = (Shape.box((-1, -0.6), (0.5, 0.6)) | Shape.ball((0.5, 0), 0.6)) - Shape.ball((0, 0), 0.3)
DOMAINS = {
    "disk": (pinn_ngd.disk(), 4),
    "annulus": (pinn_ngd.annulus(), 4),
    "sector": (pinn_ngd.sector((0, 0), 1.0, 0.4, 5.2), 4),
    "l_shape": (pinn_ngd.l_shape(), 4),
    "polygon": (pinn_ngd.polygon(STAR), 3),
    "polygon with a hole": (pinn_ngd.polygon(SQUARE, [0.4 * STAR]), 3),
    "ellipse": (pinn_ngd.ellipse((0, 0), (1.0, 0.5), 0.5), 4),
    "box_with_hole": (pinn_ngd.box_with_hole(Box((-1, -1), (1, 1)), (-0.2, 0.1), 0.3), 4),
    "Mesh": (Mesh(RINGS, CELLS), 2),
    "Shape": (PLATE, 160),
}


def make(job: Job) -> Made:
    """One panel a domain."""
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.2)
        axes = figure.subplots(2, 5).reshape(-1)
        for ax, (name, (domain, n)) in zip(axes, DOMAINS.items(), strict=True):
            _draw(ax, name, domain, n)
        plotting.save(figure, job.folder / job.name)
    measures = {name: domain.measure for name, (domain, _) in DOMAINS.items()}
    return recorded(job, [job.name], seeds=[], results={"measures": measures})


def _draw(ax: Any, name: str, domain: Any, n: int) -> None:
    """Edges of the patches, points inside, and normals on the boundary."""
    rule, many = (Sobol, n // 4) if isinstance(domain, Shape) else (GaussLegendre, n)
    inside = rule(domain, n).quadrature()
    edge = rule(domain.boundary(), many).quadrature()
    for line in _lines(domain):
        ax.plot(*line.T, color=GRAY, linewidth=0.4)
    ax.scatter(*np.asarray(inside.points).T, s=1.5, color=BLUE)
    points, normals = np.asarray(edge.points), np.asarray(edge.normals)
    ax.quiver(*points.T, *normals.T, color=VERMILION, width=0.006, scale=12)
    ax.set(title=name, aspect="equal")
    ax.axis("off")


def _lines(domain: Any) -> list[np.ndarray]:
    """The edges of patches and cells; a set by its signed distance has none."""
    if isinstance(domain, Mesh):
        return [
            domain.points[[*cell, cell[0]]] for _, cells in domain.cells.blocks for cell in cells
        ]
    if isinstance(domain, Shape):
        return []
    grids = [patch.grid(33).reshape(33, 33, 2) for patch in domain.pieces]
    return [line for grid in grids for line in (grid[0], grid[-1], grid[:, 0], grid[:, -1])]
