"""Draw figures/domains.png: curved domains, their Gauss points, boundary points and normals."""

import itertools
import pathlib

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np

import pinn_ngd
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


def draw(ax, name, domain, n):
    inside = GaussLegendre(domain, n).quadrature()
    edge = GaussLegendre(domain.boundary(), n).quadrature()
    for piece, axis in itertools.product(domain.pieces, (0, 1)):
        grid = piece.grid(33).reshape(33, 33, 2)
        for line in (grid.take(0, axis), grid.take(-1, axis)):
            ax.plot(*line.T, color=GRAY, linewidth=0.4)
    ax.scatter(*np.asarray(inside.points).T, s=1.5, color=BLUE)
    points, normals = np.asarray(edge.points), np.asarray(edge.normals)
    ax.quiver(*points.T, *normals.T, color=VERMILION, width=0.006, scale=12)
    ax.set(title=name, aspect="equal")
    ax.axis("off")


def main():
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.6)
        for ax, (name, (domain, n)) in zip(
            figure.subplots(2, 4).reshape(-1), DOMAINS.items(), strict=True
        ):
            draw(ax, name, domain, n)
        return plotting.save(figure, pathlib.Path(__file__).parent / "domains")


if __name__ == "__main__":
    main()
