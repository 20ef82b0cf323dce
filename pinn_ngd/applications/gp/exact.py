"""Regression with Gaussian noise in closed form: exact, and with inducing inputs."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Scalar

from ...models import MultivariateNormal
from .kernels import cholesky_factor, cross_covariance, variances
from .processes import JITTER, Marginals

LOG_2PI = math.log(2 * math.pi)


class GPR(eqx.Module):
    """The exact posterior of y = f(x) + noise, f ~ GP(0, kernel), noise of variance `noise`.

    `jitter` is that of the prior at the data (`kernels.cholesky_factor`).
    """

    kernel: Any
    inputs: Float[Array, "n d"]
    targets: Float[Array, " n"]
    noise: Any
    jitter: float = eqx.field(static=True, default=JITTER)

    def log_evidence(self) -> Scalar:
        """log p(y)."""
        factor = self._factor()
        whitened = solve_triangular(factor, self.targets, lower=True)
        size = self.targets.size
        logarithms = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * (whitened @ whitened + size * LOG_2PI) - logarithms

    def marginals(self, inputs: Float[Array, "n d"]) -> Marginals:
        """Means and variances of f at other inputs."""
        factor = self._factor()
        a = solve_triangular(factor, cross_covariance(self.kernel, self.inputs, inputs), lower=True)
        whitened = solve_triangular(factor, self.targets, lower=True)
        return a.T @ whitened, variances(self.kernel, inputs) - jnp.sum(a**2, axis=0)

    def posterior(self) -> MultivariateNormal:
        """The posterior of the values at the data (with the jitter's noise): K - K (K + s)^-1 K."""
        prior = cholesky_factor(self.kernel, self.inputs, self.jitter)
        k, factor = prior @ prior.T, self._factor()
        a = solve_triangular(factor, k, lower=True)
        whitened = solve_triangular(factor, self.targets, lower=True)
        return MultivariateNormal(a.T @ whitened, jnp.linalg.cholesky(k - a.T @ a))

    def _factor(self) -> Array:
        prior = cholesky_factor(self.kernel, self.inputs, self.jitter)
        eye = jnp.eye(len(prior), dtype=prior.dtype)
        return jnp.linalg.cholesky(prior @ prior.T + self.noise * eye)


class SGPR(eqx.Module):
    """The best sparse posterior for Gaussian noise: the bound of Titsias (2009), in closed form.

    With K_uu = L L^T, A = L^-1 K_uf / sqrt(noise) and B = I + A A^T, the bound is
    log N(y | 0, Q + noise) - tr(K - Q) / (2 noise), Q = K_fu K_uu^-1 K_uf, and the best whitened q
    has the covariance B^-1 and the mean B^-1 A y / sqrt(noise).
    """

    kernel: Any
    inducing: Float[Array, "m d"]
    inputs: Float[Array, "n d"]
    targets: Float[Array, " n"]
    noise: Any
    jitter: float = eqx.field(static=True, default=JITTER)

    def bound(self) -> Scalar:
        """The lower bound of log p(y)."""
        a, factor = self._parts()
        c = solve_triangular(factor, a @ self.targets, lower=True) / jnp.sqrt(self.noise)
        n, noise = self.targets.size, jnp.asarray(self.noise)
        logarithms = jnp.sum(jnp.log(jnp.diagonal(factor))) + 0.5 * n * jnp.log(noise)
        squares = self.targets @ self.targets / noise - c @ c
        trace = jnp.sum(variances(self.kernel, self.inputs)) / noise - jnp.sum(a**2)
        return -0.5 * (n * LOG_2PI + squares + trace) - logarithms

    def whitened(self) -> MultivariateNormal:
        """The best q of the whitened inducing variables."""
        a, factor = self._parts()
        c = solve_triangular(factor, a @ self.targets, lower=True) / jnp.sqrt(self.noise)
        inverse = solve_triangular(factor, jnp.eye(len(factor), dtype=a.dtype), lower=True)
        return MultivariateNormal(inverse.T @ c, jnp.linalg.cholesky(inverse.T @ inverse))

    def _parts(self) -> tuple[Array, Array]:
        prior = cholesky_factor(self.kernel, self.inducing, self.jitter)
        cross = cross_covariance(self.kernel, self.inducing, self.inputs)
        a = solve_triangular(prior, cross, lower=True) / jnp.sqrt(self.noise)
        return a, jnp.linalg.cholesky(jnp.eye(len(a), dtype=a.dtype) + a @ a.T)
