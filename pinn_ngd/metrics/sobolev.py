"""L2, H1, H-1 and all other Sobolev metrics on the state."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..geometry.grids import Grid
from ..states import AbstractState
from .state import AbstractStateMetric

Field = Float[Array, "..."]


class Sobolev(AbstractStateMetric):
    """<u, v> = integral of u (1 - Laplacian)^s v, or u (-Laplacian)^s v if `homogeneous`.

    `order` s is any real number: 0 is L2, 1 is H1, -1 is H-1. L = (1 - Laplacian)^(s/2) is applied
    by fast diagonalization. Homogeneous metrics are zero for constants, so that the mean of a
    tangent does not count, unless the boundary condition is Dirichlet.

    An H1 gradient (1 - Laplacian)^-1 phi is smoother than phi, an H-1 gradient is rougher.
    """

    order: float = 0.0
    homogeneous: bool = eqx.field(static=True, default=False)
    state: AbstractState | None = None

    @property
    def is_blind(self) -> bool:
        return self.homogeneous

    def factor(self, grid: Grid, rho: Field) -> Callable[[Field], Field]:
        del rho
        return lambda u: self._power(grid, u, 1) * grid.cell_volume**0.5

    def covector(self, grid: Grid, rho: Field, phi: Field) -> Field:
        del rho
        return self._power(grid, phi, -1) / grid.cell_volume**0.5

    def _power(self, grid: Grid, field: Field, sign: int) -> Field:
        """(1 - Laplacian)^(sign s/2), or the (pseudo-inverse) power of -Laplacian."""
        if not self.homogeneous:
            half = jnp.asarray(sign * self.order / 2, field.dtype)
            return grid.spectral(field, lambda values: (1 + values) ** half)

        def power(values: Array) -> Array:
            half = jnp.asarray(sign * self.order / 2, field.dtype)
            return jnp.where(values > 0, jnp.where(values > 0, values, 1) ** half, 0)

        return grid.spectral(field, power)
