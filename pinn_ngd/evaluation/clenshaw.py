"""Chebyshev series at a point."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def chebyshev_series(coefficients: Float[Array, "r n"], s: Float[Array, ""]) -> Float[Array, " r"]:
    """The sums over k of c_rk T_k(s), -1 <= s <= 1, by Clenshaw's recurrence, in the type of s."""
    coefficients = coefficients.astype(s.dtype)

    def body(carry: tuple[Array, Array], c: Array) -> tuple[tuple[Array, Array], None]:
        first, second = carry
        return (c + 2 * s * first - second, first), None

    zero = jnp.zeros(len(coefficients), s.dtype)
    (first, second), _ = jax.lax.scan(body, (zero, zero), coefficients[:, :0:-1].T)
    return coefficients[:, 0] + s * first - second
