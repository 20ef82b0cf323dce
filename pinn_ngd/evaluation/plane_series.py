"""Polynomials of two variables as references."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .clenshaw import chebyshev_series


class PlaneSeries(eqx.Module):
    """u_c(x, y) = sum of a_cij T_i(2 x - 1) T_j(2 y - 1) on the unit square, c the component.

    `coefficients` are the a (components, n, m), T_i Chebyshev polynomials. It is a smooth function
    of ONE point x = (x, y), (2,), and returns (components,). `accuracy` is its own relative error
    in L2: errors below it cannot be measured with it. `benchmarks/cavity_reference.py` made the
    file of `cavity`.
    """

    coefficients: Float[Array, "c n m"]
    accuracy: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, " c"]:
        components, n, m = self.coefficients.shape
        s = 2 * x - 1
        rows = chebyshev_series(self.coefficients.reshape(components * n, m), s[1])
        return chebyshev_series(jnp.reshape(rows, (components, n)), s[0])
