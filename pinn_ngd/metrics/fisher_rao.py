"""The Fisher-Rao metric on densities."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._settings import NonNegative
from ..geometry.grids import Grid
from ..states import AbstractState
from ._density import MASS_TOLERANCE, closed, lifted, positive
from .state import AbstractStateMetric

Field = Float[Array, "..."]


class FisherRao(AbstractStateMetric):
    """<u, v> = integral of u v / rho: the Fisher information of a density.

    With `mass_preserving` the target is sqrt(rho) (phi - E_rho phi): the gradient on densities of
    fixed mass, in each slice of a grid with decoupled axes. For tangents that sum to zero the step
    is the same as without constraint (Hellinger); other tangents are a run-time error. `shift` is
    added to the state to make it positive. A slice whose minimum would still be below a positive
    `floor` is lifted to it. Raises ValueError for a negative `floor`.
    """

    mass_preserving: bool = eqx.field(static=True, default=False)
    shift: float = 0.0
    floor: NonNegative = eqx.field(static=True, default=0.0)
    state: AbstractState | None = None
    needs_positive: ClassVar[bool] = True

    def factor(self, grid: Grid, rho: Field) -> Callable[[Field], Field]:
        root = jnp.sqrt(positive(self._density(grid, rho), "Fisher-Rao"))
        return lambda u: u / root * grid.cell_volume**0.5

    @property
    def admits_some(self) -> bool:
        return self.mass_preserving

    def admit(self, grid: Grid, rho: Field, mass: Array, size: Array) -> Field:
        del grid
        return closed(rho, mass, size, MASS_TOLERANCE) if self.mass_preserving else rho

    def covector(self, grid: Grid, rho: Field, phi: Field) -> Field:
        rho = self._density(grid, rho)
        if self.mass_preserving:
            phi = phi - grid.totals(rho * phi) / grid.totals(rho)
        return jnp.sqrt(rho) * phi / grid.cell_volume**0.5

    def _density(self, grid: Grid, rho: Field) -> Field:
        return lifted(grid, rho, self.shift, self.floor)
