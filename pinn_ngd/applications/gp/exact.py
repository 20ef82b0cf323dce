"""Regression with Gaussian noise in closed form: exact, and with inducing inputs."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Real, Scalar

from ...families.family import as_float
from ...models import MultivariateNormal
from .kernels import (
    cholesky_factor,
    cross_covariance,
    prior_covariance,
    require_factor,
    variances,
)
from .processes import JITTER, Marginals

LOG_2PI = math.log(2 * math.pi)


class GPR(eqx.Module):
    """The exact posterior of y = f(x) + noise, f ~ GP(0, kernel), noise of variance `noise`.

    `jitter` is that of the prior at the data (`kernels.cholesky_factor`).

    Raises ValueError for inputs that are no array (n, d) or targets that are no array (n,), and
    where the covariance has no Cholesky factor; a compiled function gives no number there.
    """

    kernel: Any
    inputs: Float[Array, "n d"] = eqx.field(converter=as_float)
    targets: Float[Array, " n"] = eqx.field(converter=as_float)
    noise: Any
    jitter: float = eqx.field(static=True, default=JITTER)

    def __check_init__(self):
        _check_data(self.inputs, self.targets)

    def log_evidence(self) -> Scalar:
        """log p(y)."""
        factor = self._factor()
        whitened = self._whitened(factor)
        size = self.targets.size
        logarithms = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * (whitened @ whitened + size * LOG_2PI) - logarithms

    def marginals(self, inputs: Real[Array, "n d"]) -> Marginals:
        """Means and variances of f at other inputs."""
        factor = self._factor()
        a = solve_triangular(factor, cross_covariance(self.kernel, self.inputs, inputs), lower=True)
        whitened = self._whitened(factor)
        return a.T @ whitened, variances(self.kernel, inputs) - jnp.sum(a**2, axis=0)

    def posterior(self) -> MultivariateNormal:
        """The posterior of the values at the data (with the jitter's noise): K - K (K + s)^-1 K."""
        k, factor = prior_covariance(self.kernel, self.inputs, self.jitter), self._factor()
        a = solve_triangular(factor, k, lower=True)
        root = require_factor(jnp.linalg.cholesky(k - a.T @ a), self.jitter)
        return MultivariateNormal(a.T @ self._whitened(factor), root)

    def _factor(self) -> Array:
        k = prior_covariance(self.kernel, self.inputs, self.jitter)
        noise = jnp.asarray(self.noise, k.dtype) * jnp.eye(len(k), dtype=k.dtype)
        return require_factor(jnp.linalg.cholesky(k + noise), self.jitter)

    def _whitened(self, factor: Array) -> Array:
        return solve_triangular(factor, self.targets.astype(factor.dtype), lower=True)


class SGPR(eqx.Module):
    """The best sparse posterior for Gaussian noise: the bound of Titsias (2009), in closed form.

    With K_uu = L L^T, A = L^-1 K_uf / sqrt(noise) and B = I + A A^T, the bound is
    log N(y | 0, Q + noise) - tr(K - Q) / (2 noise), Q = K_fu K_uu^-1 K_uf, and the best whitened q
    has the covariance B^-1 and the mean B^-1 A y / sqrt(noise).

    Raises ValueError as `GPR` does.
    """

    kernel: Any
    inducing: Float[Array, "m d"] = eqx.field(converter=as_float)
    inputs: Float[Array, "n d"] = eqx.field(converter=as_float)
    targets: Float[Array, " n"] = eqx.field(converter=as_float)
    noise: Any
    jitter: float = eqx.field(static=True, default=JITTER)

    def __check_init__(self):
        _check_data(self.inputs, self.targets)

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
        prior = require_factor(prior, self.jitter)
        cross = cross_covariance(self.kernel, self.inducing, self.inputs)
        a = solve_triangular(prior, cross, lower=True) / jnp.sqrt(self.noise)
        return a, jnp.linalg.cholesky(jnp.eye(len(a), dtype=a.dtype) + a @ a.T)


def _check_data(inputs: Array, targets: Array) -> None:
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(
            f"`inputs` have the shape {inputs.shape} and `targets` {targets.shape}: give points "
            "(n, d) and one number for each."
        )
