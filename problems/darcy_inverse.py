"""Permeability from pressures: 10,000 unknowns behind an elliptic equation.

-div(exp(m) grad u) = 1 on the unit square, u = 0 on its boundary; m is a field of 100 x 100 values,
the data are the pressures in 33 x 33 points with relative noise. The state u is implicit: finite
volumes, one block Cholesky factorization a step, tangents and adjoints by implicit differentiation.
A few LSMR iterations a step regularize: what the data do not resolve stays at its start, m = 0.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from pinn_ngd import Box, GaussLegendre, Grid, ImplicitState, Problem, StateMisfit
from pinn_ngd.experiments.plotting import plot_state
from pinn_ngd.linalg import LSMR, factor_laplacian, ordering


class LogPermeability(eqx.Module):
    """Values (n, n) of m on the grid; between its points bilinear."""

    values: jax.Array
    spacing: float = eqx.field(static=True)

    def __call__(self, x):
        return map_coordinates(self.values, list(x / self.spacing - 1), order=1, mode="nearest")


class Darcy(eqx.Module):
    """The finite-volume operator K(m) = D^T diag(exp(m) on edges) D."""

    grid: Grid = eqx.field(static=True)

    def conductance(self, model):
        edges = self.grid.edges
        return edges.density(jnp.exp(model.values)) / jnp.asarray(edges.length**2)

    def residual(self, u, model):
        edges, w = self.grid.edges, self.conductance(model)
        _, transposed = jax.vjp(edges.difference, jnp.zeros(self.grid.shape))
        return transposed(w * edges.difference(u))[0] - 1.0

    def inverses(self, model, u):
        del u
        edges = self.grid.edges
        order = ordering(edges.level, edges.left, edges.right)
        factor = factor_laplacian(order, self.conductance(model))

        def solve(b):
            return factor.solve(b.reshape(-1)).reshape(self.grid.shape)

        return solve, solve

    def solve(self, model):
        ones = jnp.ones(self.grid.shape)
        return self.inverses(model, ones)[0](ones)


def truth(grid, seed):
    """A smooth random field: cosines with coefficients that fall like the square of frequency."""
    rng, x, y = np.random.default_rng(seed), *np.meshgrid(*grid.axes, indexing="ij")
    field = np.zeros(grid.shape)
    for k in range(4):
        for j in range(4):
            wave = np.cos(np.pi * k * x) * np.cos(np.pi * j * y)
            field += rng.standard_normal() / (1 + k**2 + j**2) * wave
    return LogPermeability(jnp.asarray(field), grid.spacing[0])


def problem(
    *, cells: int = 100, stride: int = 3, noise: float = 1e-3, iterations: int = 20,
    seed: int = 0, seconds: float = 120.0, steps: int = 8,
) -> Problem:  # fmt: skip
    """Pressures are seen in every `stride`-th point; `iterations` of LSMR a step."""
    domain = Box((0.0, 0.0), (1.0, 1.0))
    grid = Grid(domain, (cells, cells), "dirichlet")
    darcy, exact = Darcy(grid), truth(grid, seed)
    state = ImplicitState(grid, darcy.residual, darcy.solve, darcy.inverses)
    seen = (slice(1, None, stride),) * 2
    pressures = darcy.solve(exact)[seen]
    deviation = noise * jnp.max(pressures)
    drawn = np.random.default_rng(seed + 1).standard_normal(pressures.shape)
    data = pressures + deviation * jnp.asarray(drawn)
    return Problem(
        name="darcy-inverse",
        description="log-permeability field from noisy pressures",
        objective=StateMisfit(state, lambda u: (u[seen] - data) / deviation),
        model=lambda key: LogPermeability(jnp.zeros(grid.shape), grid.spacing[0]),  # noqa: ARG005
        domain=domain,
        evaluation=GaussLegendre(domain, 60).quadrature(None),
        exact=exact,
        optimizer="wngd",
        optimizer_settings={
            "metric": "energy", "form": "matrix-free", "damping": 0.0,
            "solver": LSMR(rtol=1e-8, atol=1e-8, max_steps=iterations),
        },
        seconds=seconds,
        steps=steps,
        picture=lambda model: plot_state(
            grid, model.values, exact.values, titles=("log-permeability", "truth", "difference")
        ),
    )  # fmt: skip
