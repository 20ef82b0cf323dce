"""Likelihoods p(y | f) of one observation given the values f (p,) of the latent functions there.

A variational bound needs E_q[log p(y | f)] under independent normal f. It is a closed form where
there is one, and Gauss-Hermite quadrature elsewhere.
"""

import abc
import math
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
MIXTURE = 200  # normal distributions of which Student's is made up
TAIL = 37.0  # exp(-37) = 1e-16
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

    It is a mixture of normal distributions whose precision is gamma distributed, w / scale^2 with
    w ~ Gamma(degrees / 2, rate degrees / 2). The predictive density is the sum of normal densities
    of variance v + scale^2 / w, v that of f, over equidistant log w: it holds for any scale. The
    expected log density is a Gauss-Hermite sum, whose nodes lie about half a deviation of f apart:
    a scale far below that deviation needs more `nodes`.

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

    def log_predictive(self, mean: Latents, variance: Latents, y: Array) -> Scalar:
        scale = value_of(self.scale).astype(mean.dtype)
        difference = _as(y, mean) - mean[0]
        log_w, log_weights = _log_gamma_nodes(self.degrees, (difference / scale) ** 2)
        total = variance[0] + scale**2 * jnp.exp(-log_w)
        return jax.nn.logsumexp(log_weights + _log_normal(difference, total))

    def predictive_mean(self, mean: Latents, variance: Latents) -> Scalar:
        del variance
        return mean[0]


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


def _log_gamma_nodes(degrees: float, square: Scalar) -> tuple[Array, Array]:
    """Equidistant nodes log w, and logarithms of weights, for w ~ Gamma(degrees / 2, its rate).

    What is summed over them is analytic in log w and falls off at both ends, so that the
    trapezoidal rule converges exponentially. The nodes reach from a w far below its most likely one
    given the squared standardized difference y - f to one far above its most likely one without it.
    """
    shape = degrees / 2
    likely = jnp.log((degrees + 1) / (degrees + square))
    spread = 6 / math.sqrt(shape)
    left = jnp.minimum(likely, 0.0) - TAIL / shape - spread
    right = jnp.maximum(likely, 0.0) + math.log1p(TAIL / shape) + spread
    log_w = jnp.linspace(left, right, MIXTURE)
    constant = shape * math.log(shape) - math.lgamma(shape)
    log_density = constant + shape * (log_w - jnp.exp(log_w))
    return log_w, log_density + jnp.log((right - left) / (MIXTURE - 1))


def _log_normal(difference: Array, variance: Array) -> Array:
    return -0.5 * (LOG_2PI + jnp.log(variance) + difference**2 / variance)


def _as(y: Array, f: Array) -> Array:
    return jnp.asarray(y).astype(f.dtype)
