"""Parameters of the Lorenz-63 system from its stationary density: an implicit state.

The density solves h(rho, theta) = (1 - a) (rho + dt K(theta) rho) - rho + a / n = 0, where K is the
upwind finite-volume operator of -div(v rho) on 14 x 22 x 16 cells without flux through the boundary
and a = 1e-4 a teleportation to the uniform density, which makes the solution unique. The true
parameters are (sigma, r, b) = (10, 28, 8/3); the start is (11, 28, 8/3). Cells, bounds and a are
those of the code of Nurbekyan, Lei and Yang (github.com/wanzhoulei/Natural_GD).

`authors=True` reproduces what that code computes: faces with a zero index along another axis carry
no flow but do enter the derivative, and the derivative leaves out that dt = 1 / (2 max |K_ii|)
depends on the parameters. The default is consistent: a Taylor test of it passes.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import Box, Grid, ImplicitState, Problem, Quadrature, StateMisfit
from pinn_ngd.experiments.plotting import plot_state
from pinn_ngd.linalg import Pattern, sparse_solve

SHAPE, SPACING, TELEPORTATION = (14, 22, 16), 6.35, 1e-4
FIRST_CELL = (-42.123456456, -67.236546568, -20.22656564)
TRUTH, START = (10.0, 28.0, 8 / 3), (11.0, 28.0, 8 / 3)


class Lorenz(eqx.Module):
    """The parameters of x' = sigma (y - x), y' = x (r - z) - y, z' = x y - b z."""

    sigma: jax.Array
    r: jax.Array
    b: jax.Array

    def velocity(self, points):
        """(e, 3) velocities at (e, 3) points."""
        x, y, z = points.T
        return jnp.stack([self.sigma * (y - x), x * (self.r - z) - y, x * y - self.b * z], axis=1)


class UpwindOperator(eqx.Module):
    """Entries of the matrix of h: `pattern` for (left, left), (left, right), (right, ...)."""

    grid: Grid = eqx.field(static=True)
    authors: bool = eqx.field(static=True)
    scale: float | None = eqx.field(static=True)

    def fluxes(self, model):
        """Upwind velocities (v+, v-) / h of every interior face."""
        centers, axis, closed = _faces(self.grid)
        v = model.velocity(jnp.asarray(centers))[jnp.arange(len(axis)), axis] / SPACING
        if self.authors:  # no flow, yet a derivative
            v = v - jax.lax.stop_gradient(jnp.where(closed, v, 0))
        return jnp.where(v > 0, v, 0), jnp.where(v > 0, 0, v)

    def time_step(self, fluxes):
        """dt = 1 / (2 max |K_ii|), so that I + dt K has no negative entry."""
        edges = self.grid.edges
        out = (
            jnp.zeros(self.grid.size).at[edges.left].add(fluxes[0]).at[edges.right].add(-fluxes[1])
        )
        return jax.lax.stop_gradient(0.5 / jnp.max(out))

    def values(self, model):
        """Entries in the order of `pattern`, the diagonal last."""
        out_left, into_left = self.fluxes(model)
        dt = self.time_step((out_left, into_left)) if self.scale is None else self.scale
        factor = (1 - TELEPORTATION) * dt
        entries = factor * jnp.concatenate([-out_left, -into_left, out_left, into_left])
        return jnp.append(entries, jnp.full(self.grid.size, -TELEPORTATION))

    def residual(self, rho, model):
        """h(rho, theta), of the grid's shape."""
        rows, columns, size = _pattern(self.grid)
        products = self.values(model) * jnp.ravel(rho)[columns]
        total = jnp.zeros(size).at[rows].add(products) + TELEPORTATION / size
        return total.reshape(self.grid.shape)

    def inverses(self, model, rho):
        """b -> h_rho^-1 b and b -> h_rho^-T b, from one sparse factorization."""
        values, shape = jax.lax.stop_gradient(self.values(model)), rho.shape

        def solver(transposed):
            return lambda b: sparse_solve(
                _pattern(self.grid), values, b.reshape(-1), transposed=transposed
            ).reshape(shape)

        return solver(False), solver(True)

    def solve(self, model):
        """The density."""
        uniform = jnp.full(self.grid.shape, TELEPORTATION / self.grid.size)
        return self.inverses(model, uniform)[0](-uniform)


_CACHE = {}


def _faces(grid):
    """Centers (e, 3) and axes (e,) of the interior faces; where the authors' code has no flow."""
    if grid not in _CACHE:
        edges, points = grid.edges, np.asarray(grid.points)
        centers = (points[edges.left] + points[edges.right]) / 2
        index = np.stack(np.unravel_index(edges.right, grid.shape), axis=1)
        axis = np.argmax(np.abs(points[edges.right] - points[edges.left]), axis=1)
        others = np.where(np.arange(3) == axis[:, None], 1, index)
        rows = [edges.left, edges.left, edges.right, edges.right, np.arange(grid.size)]
        columns = [edges.left, edges.right, edges.left, edges.right, np.arange(grid.size)]
        pattern = Pattern(np.concatenate(rows), np.concatenate(columns), grid.size)
        _CACHE[grid] = (centers, axis, (others == 0).any(axis=1)), pattern
    return _CACHE[grid][0]


def _pattern(grid):
    _faces(grid)
    return _CACHE[grid][1]


def problem(*, authors: bool = False, seconds: float = 30.0, steps: int = 60) -> Problem:
    lower = tuple(a - SPACING / 2 for a in FIRST_CELL)
    upper = tuple(a + n * SPACING for a, n in zip(lower, SHAPE, strict=True))
    grid = Grid(Box(lower, upper), SHAPE)
    truth = Lorenz(*map(jnp.asarray, TRUTH))
    operator = UpwindOperator(grid, authors, None)
    if not authors:
        scale = float(operator.time_step(operator.fluxes(truth)))
        operator = UpwindOperator(grid, authors, scale)
    data = operator.solve(truth)
    state = ImplicitState(grid, operator.residual, operator.solve, operator.inverses)
    return Problem(
        name="lorenz-63",
        description="parameters of the Lorenz system from its stationary density",
        objective=StateMisfit(state, lambda rho: (rho - data) * grid.cell_volume**0.5),
        model=lambda key: Lorenz(*map(jnp.asarray, START)),  # noqa: ARG005  (a fixed start)
        domain=grid.domain,
        evaluation=Quadrature(grid.points, jnp.full(grid.size, grid.cell_volume)),
        optimizer="wngd",
        optimizer_settings={"metric": "l2"},
        seconds=seconds,
        steps=steps,
        picture=lambda model: plot_state(grid, state(model), data),
    )
