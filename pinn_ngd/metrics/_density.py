"""Conditions that metrics of densities put on a state, and their error messages."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..geometry.grids import Grid

Field = Float[Array, "..."]
MASS_TOLERANCE = 1e-6  # relative mass that truncating a density to a box may lose


def lifted(grid: Grid, rho: Field, shift: float, floor: float) -> Field:
    """rho + shift; slices whose minimum is below a positive floor are lifted further."""
    density = rho + jnp.asarray(shift, rho.dtype)
    if not floor > 0:
        return density
    lowest = jnp.min(density, axis=grid.coupled, keepdims=True)
    return density + jnp.maximum(jnp.asarray(floor, rho.dtype) - lowest, 0)


def positive(density: Field, name: str) -> Field:
    """The density; a run-time error where it is not positive everywhere."""
    return eqx.error_if(
        density,
        ~jnp.all(density > 0),
        f"the state is not positive everywhere, but the {name} metric measures densities: pass a"
        " `shift` or a `floor` that makes it positive, let the model end in a softplus or an"
        " exponential, or take an L2 or Sobolev metric.",
    )


def closed(rho: Field, mass: Array, size: Array, tolerance: float) -> Field:
    """rho; a run-time error where tangents of that size change the mass, of any slice."""
    return eqx.error_if(
        rho,
        jnp.any(mass > tolerance * size),
        "the tangents of the state do not conserve mass (they do not sum to zero), so no flow with"
        " closed boundaries produces them. Cures: normalize the state; `mass='project'` (tangents"
        " of the normalized state); `unbalanced=1.0` (mass may grow and decay); or a grid with"
        " boundary='dirichlet' (mass may leave through the boundary).",
    )
