"""Plane Stokes flows in closed form, by two analytic functions."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float


class StokesFlow(eqx.Module):
    """Velocity and pressure (u, v, p) of a Stokes flow in the plane: -Laplace (u, v) + grad p = 0.

    With z = x + i y - center and analytic functions f and h,

        u - i v = conj(z) f'(z) - conj(f(z)) + h(z),    p = 4 Re f'(z)

    (Goursat), so that the equations hold whatever the coefficients are. `f` and `h` (n + 1 + m,)
    are coefficients of the powers (z / radius)^0, ..., (z / radius)^n and of m fractions
    length / (z - pole) with poles outside of the domain: "lightning" approximation (Brubeck and
    Trefethen 2022, doi:10.1137/21M1408579). It is a smooth function of ONE point x = (x, y), (2,).
    `accuracy` is its own relative error in L2. `benchmarks/stokes_reference.py` made the file.
    """

    poles: Complex[Array, " m"]
    lengths: Complex[Array, " m"]
    f: Complex[Array, " k"]
    h: Complex[Array, " k"]
    center: complex = eqx.field(static=True)
    radius: float = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    @classmethod
    def of(cls, file: Mapping[str, np.ndarray]) -> "StokesFlow":
        """The flow with the arrays of a file."""
        kind = jnp.result_type(complex)
        poles, lengths, f, h = (
            jnp.asarray(file[name], kind) for name in ("poles", "lengths", "f", "h")
        )
        center, radius = complex(file["center"]), float(file["radius"])
        return cls(poles, lengths, f, h, center, radius, float(file["accuracy"]))

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, " 3"]:
        z = lax.complex(x[0] - self.center.real, x[1] - self.center.imag)
        fractions = self.lengths / (z + self.center - self.poles)
        value, slope = self._both(self.f, z, fractions)
        last, _ = self._both(self.h, z, fractions)
        velocity = jnp.conj(z) * slope - jnp.conj(value) + last
        return jnp.stack([velocity.real, -velocity.imag, 4 * slope.real])

    def _both(self, coefficients: Array, z: Any, fractions: Array) -> tuple[Array, Array]:
        """An analytic function and its derivative at z."""
        powers = len(coefficients) - len(self.poles)
        ascending, of_poles = coefficients[:powers], coefficients[powers:]
        slopes = ascending[1:] * np.arange(1, powers).astype(ascending.dtype) / self.radius
        w = z / self.radius
        value = jnp.polyval(ascending[::-1], w) + of_poles @ fractions
        return value, jnp.polyval(slopes[::-1], w) - of_poles @ (fractions**2 / self.lengths)
