"""Likelihoods p(y | f) of one observation given the values f (p,) of the latent functions there.

A variational bound needs E_q[log p(y | f)] under independent normal f. It is a closed form where
there is one, and Gauss-Hermite quadrature elsewhere.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Scalar

from ..._names import choose
from ..._settings import Count
from .parameters import Unknown, positive, value_of

Latents = Float[Array, " p"]
NODES = 20
LOG_2PI = float(np.log(2 * np.pi))
LINKS = ("logit", "probit")


class AbstractLikelihood(eqx.Module):
    """The distribution of one observation y given f.

    `latents` is the number p of latent functions. `log_concave` says whether log p(y | f) is
    concave in f: natural-gradient steps of length at most one then keep the covariance of q
    positive definite. A subclass with p = 1 only has to give `log_density` and `conditional_mean`;
    the expectations are Gauss-Hermite sums with `nodes` nodes.
    """

    latents: ClassVar[int] = 1
    log_concave: ClassVar[bool] = False
    nodes: eqx.AbstractVar[int]

    @abc.abstractmethod
    def log_density(self, f: Latents, y: Array) -> Scalar:
        """log p(y | f)."""

    @abc.abstractmethod
    def conditional_mean(self, f: Latents) -> Scalar:
        """E[y | f]."""

    def expected_log_density(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        """E[log p(y | f)] for independent f_j ~ N(mean_j, variance_j)."""
        f, weights = _nodes(mean, variance, self.nodes)
        return weights @ jax.vmap(lambda one: self.log_density(one, y))(f)

    def log_predictive(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        """log E[p(y | f)], the logarithm of the predictive density of y."""
        f, weights = _nodes(mean, variance, self.nodes)
        terms = jax.vmap(lambda one: self.log_density(one, y))(f)
        return jax.nn.logsumexp(terms, b=weights)

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        """E[y]."""
        f, weights = _nodes(mean, variance, self.nodes)
        return weights @ jax.vmap(self.conditional_mean)(f)

    def check(self, y: Any) -> None:
        """Raises ValueError for observations that have no density."""


class GaussianNoise(AbstractLikelihood):
    """y = f + noise of the given `variance`; every expectation is a closed form."""

    log_concave: ClassVar[bool] = True
    variance: Unknown
    nodes: int = eqx.field(static=True)

    def __init__(self, variance: Any = 1.0):
        self.variance, self.nodes = positive(variance), NODES

    def log_density(self, f: Latents, y: Array) -> Scalar:
        return _log_normal(_as(y, f) - f[0], value_of(self.variance))

    def conditional_mean(self, f: Latents) -> Scalar:
        return f[0]

    def expected_log_density(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        return self.log_density(mean, y) - variance[0] / (2 * value_of(self.variance))

    def log_predictive(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        return _log_normal(_as(y, mean) - mean[0], variance[0] + value_of(self.variance))

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        del variance
        return mean[0]


class Bernoulli(AbstractLikelihood):
    """y in {0, 1}, P(y = 1 | f) = 1 / (1 + exp(-f)) ("logit") or the normal distribution
    function Phi(f) ("probit"), for which E[P] = Phi(m / sqrt(1 + v)) is a closed form.

    Raises ValueError for another `link`.
    """

    log_concave: ClassVar[bool] = True
    link: str = eqx.field(static=True)
    nodes: int = eqx.field(static=True)

    def __init__(self, link: str = "logit", nodes: Count = NODES):
        self.link, self.nodes = choose(link, LINKS, "`link`"), nodes

    def log_density(self, f: Latents, y: Array) -> Scalar:
        sign = 2 * _as(y, f) - 1
        log_of = jax.nn.log_sigmoid if self.link == "logit" else jax.scipy.stats.norm.logcdf
        return log_of(sign * f[0])

    def conditional_mean(self, f: Latents) -> Scalar:
        cdf = jax.nn.sigmoid if self.link == "logit" else jax.scipy.stats.norm.cdf
        return cdf(f[0])

    def log_predictive(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        if self.link == "logit":
            return super().log_predictive(mean, variance, y)
        return self.log_density(mean / jnp.sqrt(1 + variance), y)

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        if self.link == "logit":
            return super().predictive_mean(mean, variance)
        return self.conditional_mean(mean / jnp.sqrt(1 + variance))

    def check(self, y: Any) -> None:
        if not np.isin(np.asarray(y), (0, 1)).all():
            raise ValueError(
                "`targets` of a Bernoulli likelihood must be 0 or 1: number the two classes so."
            )


class Poisson(AbstractLikelihood):
    """Counts y = 0, 1, ... of rate exp(f); the expected log density and mean are closed forms."""

    log_concave: ClassVar[bool] = True
    nodes: Count = eqx.field(static=True, default=NODES)

    def log_density(self, f: Latents, y: Array) -> Scalar:
        y = _as(y, f)
        return y * f[0] - jnp.exp(f[0]) - gammaln(y + 1)

    def conditional_mean(self, f: Latents) -> Scalar:
        return jnp.exp(f[0])

    def expected_log_density(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        y = _as(y, mean)
        return y * mean[0] - jnp.exp(mean[0] + variance[0] / 2) - gammaln(y + 1)

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        return jnp.exp(mean[0] + variance[0] / 2)

    def check(self, y: Any) -> None:
        y = np.asarray(y)
        if (y < 0).any() or (y != np.floor(y)).any():
            raise ValueError("`targets` of a Poisson likelihood are counts: whole numbers from 0.")


class StudentT(AbstractLikelihood):
    """y = f + scale * t, t of Student's distribution with `degrees` of freedom: outliers cost
    little. Not log-concave.

    Raises ValueError for `degrees` at or below 1, where there is no mean.
    """

    scale: Unknown
    degrees: float = eqx.field(static=True)
    nodes: int = eqx.field(static=True)

    def __init__(self, scale: Any = 1.0, degrees: float = 4.0, nodes: Count = NODES):
        if not degrees > 1:
            raise ValueError(f"`degrees` is {degrees}; a mean needs more than one degree.")
        self.scale, self.degrees, self.nodes = positive(scale), float(degrees), nodes

    def log_density(self, f: Latents, y: Array) -> Scalar:
        nu, scale = self.degrees, value_of(self.scale)
        square = ((_as(y, f) - f[0]) / scale) ** 2
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        return constant - jnp.log(scale) - (nu + 1) / 2 * jnp.log1p(square / nu)

    def conditional_mean(self, f: Latents) -> Scalar:
        return f[0]


class HeteroskedasticGaussian(AbstractLikelihood):
    """y = f_1 + exp(f_2) e with standard normal e: the noise depends on the place.

    Two latent functions, so that a model has two processes. The expected log density is a closed
    form; for the predictive density the integral over f_1 is one, and that over f_2 a Gauss-Hermite
    sum.
    """

    latents: ClassVar[int] = 2
    nodes: Count = eqx.field(static=True, default=NODES)

    def log_density(self, f: Latents, y: Array) -> Scalar:
        return _log_normal(_as(y, f) - f[0], jnp.exp(2 * f[1]))

    def conditional_mean(self, f: Latents) -> Scalar:
        return f[0]

    def expected_log_density(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        square = (_as(y, mean) - mean[0]) ** 2 + variance[0]
        precision = jnp.exp(-2 * mean[1] + 2 * variance[1])
        return -0.5 * (LOG_2PI + precision * square) - mean[1]

    def log_predictive(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        log_deviation, weights = _nodes(mean[1:], variance[1:], self.nodes)
        total = variance[0] + jnp.exp(2 * log_deviation[:, 0])
        return jax.nn.logsumexp(_log_normal(_as(y, mean) - mean[0], total), b=weights)

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        del variance
        return mean[0]


def _nodes(mean: Latents, variance: Latents, count: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes (count, 1) of one normal variable, and weights that add up to one."""
    t, w = np.polynomial.hermite.hermgauss(count)
    t, w = jnp.asarray(t, mean.dtype), jnp.asarray(w / np.sqrt(np.pi), mean.dtype)
    return mean + jnp.sqrt(2 * variance) * t[:, None], w


def _log_normal(difference: Array, variance: Array) -> Array:
    return -0.5 * (LOG_2PI + jnp.log(variance) + difference**2 / variance)


def _as(y: Array, f: Array) -> Array:
    return jnp.asarray(y).astype(f.dtype)
