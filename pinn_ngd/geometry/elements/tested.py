"""Test functions at the points of a quadrature, and what they make of an integrand."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from ..quadrature import Quadrature


class Surface(eqx.Module):
    """Points of a surface, and numbers (n, k) and values (n, k) of the test functions there."""

    quadrature: Quadrature
    dofs: Int[Array, "n k"]
    values: Float[Array, "n k"]


class Tested(eqx.Module):
    """Test functions v_1, ..., v_m at points that come cell by cell.

    In each of C cells k functions live: `dofs` (C, k) are their numbers (m for one that is left
    out, because it vanishes on the boundary), `values` (C, q, k, 1 + d) their values and gradients
    at the q points of the cell. `inner` (C q, 1 + d) are the coefficients of the inner product
    (v, w) = integral of inner . (v w, v_x w_x, v_y w_y, ...), and `factor` (m, m) is the lower
    triangular L with L L^T = G, its Gram matrix.
    """

    dofs: Int[Array, "C k"]
    values: Float[Array, "C q k D"]
    inner: Float[Array, "n D"]
    factor: Float[Array, "m m"]
    surfaces: tuple[Surface, ...] = ()

    @property
    def count(self) -> int:
        """The number m of test functions."""
        return self.factor.shape[0]

    def functional(
        self,
        weights: Float[Array, " n"],
        integrand: Float[Array, "n D r"],
        on_surfaces: Sequence[Float[Array, "s r"]] = (),
    ) -> Float[Array, "m r"]:
        """R_i = integral of integrand . (v_i, grad v_i), plus those over surfaces, for r of them.

        Every cell is summed by itself, so that the work is that of sparse matrices.
        """
        cells, points = self.values.shape[:2]
        weighted = weights[:, None, None] * integrand
        parts = weighted.reshape(cells, points, *weighted.shape[1:])
        local = jnp.einsum("cqkj,cqjr->ckr", self.values, parts)
        total = jnp.zeros((self.count + 1, integrand.shape[2]), integrand.dtype)
        total = total.at[self.dofs].add(local)
        for surface, found in zip(self.surfaces, on_surfaces, strict=True):
            share = surface.quadrature.weights[:, None] * surface.values
            total = total.at[surface.dofs].add(share[:, :, None] * found[:, None, :])
        return total[: self.count]

    def dual(self, functional: Float[Array, "m r"]) -> Float[Array, "m r"]:
        """b = L^{-1} R, so that |b|^2 = R . G^{-1} R = sup_v R(v)^2 / (v, v)."""
        return solve_triangular(self.factor, functional, lower=True)

    def density(self, dual: Float[Array, "m r"]) -> Float[Array, " n"]:
        """|b|^2 as a density at the points: that of (w, w), w the representative of R (Riesz).

        (w, v) = R(v) for all v, and w = sum_i (L^{-T} b)_i v_i.
        """
        cells, points = self.values.shape[:2]
        coefficients = solve_triangular(self.factor, dual, trans=1, lower=True)
        padded = jnp.concatenate([coefficients, jnp.zeros_like(coefficients[:1])])
        fields = jnp.einsum("cqkj,ckr->cqjr", self.values, padded[self.dofs])
        squares = jnp.sum(fields**2, axis=-1).reshape(cells * points, -1)
        return jnp.sum(self.inner * squares, axis=-1)
