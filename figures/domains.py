"""Curved domains: their patches, Gauss points, boundary points and normals."""

from typing import Any

import numpy as np

import pinn_ngd
from figures.recipes import Job, Made, recorded
from pinn_ngd import Box, GaussLegendre
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLUE, GRAY, VERMILION, new_figure

ANGLES = np.arange(10) * np.pi / 5
STAR = np.where(np.arange(10) % 2, 0.45, 1.0)[:, None] * np.stack(
    [np.cos(ANGLES), np.sin(ANGLES)], axis=1
)
SQUARE = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
DOMAINS = {
    "disk": (pinn_ngd.disk(), 4),
    "annulus": (pinn_ngd.annulus(), 4),
    "sector": (pinn_ngd.sector((0, 0), 1.0, 0.4, 5.2), 4),
    "l_shape": (pinn_ngd.l_shape(), 4),
    "polygon": (pinn_ngd.polygon(STAR), 3),
    "polygon with a hole": (pinn_ngd.polygon(SQUARE, [0.4 * STAR]), 3),
    "ellipse": (pinn_ngd.ellipse((0, 0), (1.0, 0.5), 0.5), 4),
    "box_with_hole": (pinn_ngd.box_with_hole(Box((-1, -1), (1, 1)), (-0.2, 0.1), 0.3), 4),
}


def make(job: Job) -> Made:
    """One panel a domain."""
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.6)
        axes = figure.subplots(2, 4).reshape(-1)
        for ax, (name, (domain, n)) in zip(axes, DOMAINS.items(), strict=True):
            _draw(ax, name, domain, n)
        plotting.save(figure, job.folder / job.name)
    measures = {name: domain.measure for name, (domain, _) in DOMAINS.items()}
    return recorded(job, [job.name], seeds=[], results={"measures": measures})


def _draw(ax: Any, name: str, domain: pinn_ngd.Patches, n: int) -> None:
    """Edges of the patches, points inside, and normals on the boundary."""
    inside = GaussLegendre(domain, n).quadrature()
    edge = GaussLegendre(domain.boundary(), n).quadrature()
    for patch in domain.pieces:
        grid = patch.grid(33).reshape(33, 33, 2)
        for line in (grid[0], grid[-1], grid[:, 0], grid[:, -1]):
            ax.plot(*line.T, color=GRAY, linewidth=0.4)
    ax.scatter(*np.asarray(inside.points).T, s=1.5, color=BLUE)
    points, normals = np.asarray(edge.points), np.asarray(edge.normals)
    ax.quiver(*points.T, *normals.T, color=VERMILION, width=0.006, scale=12)
    ax.set(title=name, aspect="equal")
    ax.axis("off")
