"""The Wasserstein-2 metric on densities."""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._settings import NonNegative
from ..geometry.edges import Edges
from ..geometry.grids import Grid
from ..linalg import Diffusion, Multigrid, factor_laplacian, ordering
from ..states import AbstractState
from ._density import MASS_TOLERANCE, closed, lifted, positive
from .state import AbstractStateMetric

Field = Float[Array, "..."]
MOST_ITERATIONS = 2000  # of conjugate gradients
FAILED = 1e-3  # of the charge: a larger residual is no solution
LARGEST_FACTOR = 2**28  # bytes of a block Cholesky factor, beyond which "auto" takes multigrid


class Wasserstein(AbstractStateMetric):
    """<u, u> = min integral of rho |v|^2 over the flows v that produce u = -div(rho v).

    The cheapest flow is a gradient: v = grad psi with -div(rho grad psi) = u. With D the discrete
    gradient and w the density on its edges, K = D^T diag(w) D and

        L u = sqrt(w) D K^-1 u,    b = (L^+)^T phi = sqrt(w) D phi,

    one sparse elliptic solve for every tangent. The grid's boundary condition is that of the flow:
    closed ("neumann"), open ("dirichlet") or "periodic".

    - `operator`: "staggered" (densities on faces as means of their cells) or "central", the central
      differences with zero exterior of the code of Nurbekyan, Lei and Yang;
    - `elliptic`: "direct" (block Cholesky, reused for all tangents of a step), "multigrid"
      (conjugate gradients without a matrix, as many of them on fine grids as on coarse ones; of
      staggered differences), "cg" (likewise, preconditioned by the fast solver of constant density,
      for densities that vary little) or "auto": "direct" for central differences and where its
      factor takes at most 256 MiB, which is up to 256 x 256 cells in the plane, else "multigrid".
      Without a factor residuals are 2e-13 of the charge (1e-4 in float32), and where conjugate
      gradients do not come to 1e-3 of it the step is not a number;
    - `mass`, where the boundary is closed: "check" tests that tangents u sum to zero; "project"
      takes u minus rho times the mass of u, as if the state were normalized (u minus its *mean*
      would put mass into empty tails, and transport from there is expensive without limit);
      "ignore" does nothing. Along decoupled axes of the grid nothing flows: each slice has a mass
      of its own;
    - `unbalanced` kappa > 0 lets mass grow and decay: K + kappa diag(rho);
    - `shift` is added to the state to make it positive. A slice whose minimum would still be below
      a positive `floor` is lifted to it.

    Raises ValueError for unknown choices and multigrid for central differences; run-time errors for
    densities that are not positive and for tangents that do not conserve mass.
    """

    operator: Literal["staggered", "central"] = eqx.field(static=True, default="staggered")
    elliptic: Literal["auto", "direct", "cg", "multigrid"] = eqx.field(static=True, default="auto")
    mass: Literal["check", "project", "ignore"] = eqx.field(static=True, default="check")
    unbalanced: NonNegative = eqx.field(static=True, default=0.0)
    shift: float = 0.0
    floor: NonNegative = eqx.field(static=True, default=0.0)
    state: AbstractState | None = None
    needs_positive: ClassVar[bool] = True

    def __check_init__(self):
        if self.elliptic == "multigrid" and self.operator == "central":
            raise ValueError(
                "`elliptic` 'multigrid' joins neighboring cells, which central differences skip: "
                "take 'direct' or 'cg', or the staggered operator."
            )

    @property
    def is_blind(self) -> bool:
        return not self.unbalanced

    def factor(self, grid: Grid, rho: Field) -> Callable[[Field], Array]:
        edges, conductance = self._edges(grid, rho)
        scale = grid.cell_volume**0.5
        solve = self._elliptic_solve(grid, edges, conductance)
        normalized = self._closed(grid) and self.mass == "project"
        density = lifted(grid, rho, self.shift, self.floor)
        density = density / grid.totals(density)

        def flux(u: Field) -> Array:
            potential = solve(u - density * grid.totals(u) if normalized else u)
            return jnp.sqrt(conductance) * edges.difference(potential) * scale

        return flux

    def covector(self, grid: Grid, rho: Field, phi: Field) -> Array:
        edges, conductance = self._edges(grid, rho)
        return jnp.sqrt(conductance) * edges.difference(phi) / grid.cell_volume**0.5

    def has_covector(self, grid: Grid) -> bool:
        return not (self._closed(grid) and self.mass == "project")

    @property
    def admits_some(self) -> bool:
        return self.mass == "check"

    def admit(self, grid: Grid, rho: Field, mass: Array, size: Array) -> Field:
        if self._closed(grid) and self.mass == "check":
            return closed(rho, mass, size, MASS_TOLERANCE)
        return rho

    def _closed(self, grid: Grid) -> bool:
        return grid.has_constants and self.operator == "staggered" and not self.unbalanced

    def _edges(self, grid: Grid, rho: Field) -> tuple[Edges, Float[Array, " e"]]:
        """The edges and w / length^2 on them; growth and decay are edges to the outside."""
        rho = positive(lifted(grid, rho, self.shift, self.floor), "Wasserstein")
        edges = grid.central_edges if self.operator == "central" else grid.edges
        conductance = edges.density(rho) / jnp.asarray(edges.length**2, rho.dtype)
        if not self.unbalanced:
            return edges, conductance
        growth = jnp.ravel(rho) * jnp.asarray(self.unbalanced, rho.dtype)
        return edges.grounded(grid.size), jnp.concatenate([conductance, growth])

    def _elliptic_solve(
        self, grid: Grid, edges: Edges, conductance: Float[Array, " e"]
    ) -> Callable[[Field], Field]:
        flow = len(edges.left) - (grid.size if self.unbalanced else 0)
        chosen = self.elliptic
        if chosen == "auto":
            chosen = "multigrid" if self._is_large(edges) else "direct"
        if chosen == "direct":
            kept = factor_laplacian(ordering(edges.level, edges.left, edges.right), conductance)
            return lambda u: kept.solve(jnp.ravel(u)).reshape(grid.shape)
        if chosen == "cg":
            solve = _spectral_cg(grid, edges, conductance, flow)
        else:
            growth = conductance[flow:] if self.unbalanced else jnp.zeros_like(conductance[:1])
            solve = _multigrid_cg(grid, conductance[:flow], growth)
        if not self._closed(grid):
            return solve
        held = _held(grid, edges, conductance)
        return lambda u: solve(u - held * grid.totals(u))

    def _is_large(self, edges: Edges) -> bool:
        """Whether two blocks of numbers for each level of cells, in float64, are too many."""
        sizes = np.bincount(edges.level)
        factor = 2 * 8 * len(sizes) * int(sizes.max()) ** 2
        return self.operator == "staggered" and factor > LARGEST_FACTOR


def _held(grid: Grid, edges: Edges, conductance: Float[Array, " e"]) -> Field:
    """One in the cell of each slice that is connected best, shared where there are several.

    K has constants in its kernel there, so that a charge has to sum to zero: what rounding left of
    a sum leaves through this cell, as it does for `factor_laplacian`.
    """
    degree = jnp.zeros(grid.size, conductance.dtype)
    degree = degree.at[edges.left].add(conductance).at[edges.right].add(conductance)
    degree = degree.reshape(grid.shape)
    best = (degree == jnp.max(degree, axis=grid.coupled, keepdims=True)).astype(degree.dtype)
    return best / grid.totals(best)


def _multigrid_cg(
    grid: Grid, conductance: Float[Array, " e"], growth: Float[Array, " n"]
) -> Callable[[Field], Field]:
    """Conjugate gradients with a multigrid cycle."""
    extra = jnp.broadcast_to(growth, (grid.size,)).reshape(grid.shape)
    diffusion = Diffusion(grid.faces(conductance), extra, grid.coupled, grid.boundary == "periodic")
    return _conjugate_gradients(diffusion.apply, Multigrid(diffusion, grid.spacing), conductance)


def _spectral_cg(
    grid: Grid, edges: Edges, conductance: Float[Array, " e"], flow: int
) -> Callable[[Field], Field]:
    """Conjugate gradients with the inverse for a constant density.

    The first `flow` edges carry flow, the others growth.
    """
    dtype = conductance.dtype
    _, transposed = jax.vjp(edges.difference, jnp.zeros(grid.shape, dtype))
    mean = jnp.mean(conductance[:flow] * jnp.asarray(edges.length[:flow] ** 2, dtype))
    extra = jnp.sum(conductance[flow:]) / grid.size

    def apply(potential: Field) -> Field:
        return transposed(conductance * edges.difference(potential))[0]

    def precondition(charge: Field) -> Field:
        def inverse(values: Array) -> Array:
            shifted = mean * values + extra
            # Constants have the value zero where K is closed, but not where an exterior holds them.
            least = jnp.min(jnp.where(shifted > 0, shifted, jnp.inf))
            return 1 / jnp.maximum(shifted, least)

        return grid.spectral(charge, inverse)

    return _conjugate_gradients(apply, precondition, conductance)


def _conjugate_gradients(
    apply: Callable[[Field], Field], precondition: Callable[[Field], Field], like: Array
) -> Callable[[Field], Field]:
    """A solve with K, whose transpose it is, too, preconditioner and all."""
    tolerance = 1e3 * float(jnp.finfo(like.dtype).eps)

    def iterate(apply: Callable[[Field], Field], charge: Field) -> Field:
        found, _ = jax.scipy.sparse.linalg.cg(
            apply, charge, M=precondition, tol=tolerance, atol=0.0, maxiter=MOST_ITERATIONS
        )
        left, whole = (jnp.linalg.norm(x.ravel()) for x in (charge - apply(found), charge))
        return jnp.where(left <= FAILED * whole, found, jnp.nan)  # a wrong step is worse than none

    return lambda charge: jax.lax.custom_linear_solve(apply, charge, iterate, symmetric=True)
