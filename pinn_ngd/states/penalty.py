"""Penalties on a field of parameters: what data do not determine is chosen smooth, or blocky."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree, Scalar

from ..geometry.grids import Grid
from ..objectives.returned import real

Field = Inexact[Array, "..."]


class AbstractPenalty(eqx.Module):
    """A convex functional P of the field m = `field(model)` on a grid, in least-squares form.

    Of a complex field it is that of the real and imaginary parts: |grad m|^2 is the sum over both.

    `residual` is p with p'^T p = P', so that its rows stacked below those of a misfit give the
    gradient exactly and a positive semidefinite Hessian.
    """

    field: eqx.AbstractVar[Callable[[PyTree], Field]]
    grid: eqx.AbstractVar[Grid]
    weight: eqx.AbstractVar[float]

    def __check_init__(self):
        if not self.weight > 0:
            msg = f"`weight` of a penalty is {self.weight}; it must be positive."
            raise ValueError(msg)

    @abc.abstractmethod
    def value(self, model: PyTree) -> Scalar:
        """P at a model."""

    @abc.abstractmethod
    def residual(self, model: PyTree) -> Float[Array, "d ..."]:
        """p at a model, one array for each axis of the grid."""

    def gradient(self, model: PyTree) -> Float[Array, "d ..."]:
        """Forward differences of m along every axis, zero at the far end; of a complex field
        those of the real part, then those of the imaginary part."""
        m = self.field(model).reshape(self.grid.shape)
        slopes = []
        for axis, h in enumerate(self.grid.spacing):
            end = jax.lax.slice_in_dim(m, m.shape[axis] - 1, m.shape[axis], axis=axis)
            slopes.append(jnp.diff(m, axis=axis, append=end) / jnp.asarray(h, m.dtype))
        return real(jnp.stack(slopes))


class Smoothness(AbstractPenalty):
    """weight/2 times the integral of |grad m|^2: the square of the H1 seminorm."""

    field: Callable[[PyTree], Field]
    grid: Grid
    weight: float

    def value(self, model: PyTree) -> Scalar:
        return 0.5 * jnp.sum(self.residual(model) ** 2)

    def residual(self, model: PyTree) -> Float[Array, "d ..."]:
        return self.gradient(model) * (self.weight * self.grid.cell_volume) ** 0.5


class TotalVariation(AbstractPenalty):
    """weight times the integral of sqrt(|grad m|^2 + smoothing^2), which allows jumps.

    The residual is sqrt(weight) grad m / (|grad m|^2 + smoothing^2)^(1/4) with its denominator kept
    fixed: the lagged diffusivity of Vogel and Oman (SIAM J. Sci. Comput. 1996). `smoothing` is a
    slope of m, below which the penalty is quadratic. Raises ValueError unless it is positive.
    """

    field: Callable[[PyTree], Field]
    grid: Grid
    weight: float
    smoothing: float = 1e-2

    def __check_init__(self):
        if not self.smoothing > 0:
            msg = (
                f"`smoothing` is {self.smoothing}; it must be positive: without it there is a kink."
            )
            raise ValueError(msg)

    def value(self, model: PyTree) -> Scalar:
        return self.weight * self.grid.cell_volume * jnp.sum(self._steepness(self.gradient(model)))

    def residual(self, model: PyTree) -> Float[Array, "d ..."]:
        slopes = self.gradient(model)
        diffusivity = jax.lax.stop_gradient(1 / jnp.sqrt(self._steepness(slopes)))
        return slopes * diffusivity * (self.weight * self.grid.cell_volume) ** 0.5

    def _steepness(self, slopes: Float[Array, "d ..."]) -> Field:
        return jnp.sqrt(jnp.sum(slopes**2, axis=0) + self.smoothing**2)
