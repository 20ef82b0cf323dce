"""Families of real numbers and vectors: normal and exponential distributions."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Scalar

from .._settings import Count, Positive, check_fields
from .family import AbstractExponentialFamily, as_float

LOG_TWO_PI = math.log(2 * math.pi)


class GaussianKnownVariance(AbstractExponentialFamily):
    """N(mu, variance) with known variance: theta = mu / variance, eta = mu; arrays of one entry.

    A = variance theta^2 / 2. Raises ValueError for a variance that is not positive.
    """

    variance: Positive = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_fields(self)

    def statistics(self, x: Array) -> Float[Array, "1"]:
        return as_float(x)[None]

    def log_partition(self, natural: Float[Array, "1"]) -> Scalar:
        return 0.5 * self.variance * natural[0] ** 2

    def log_base(self, x: Array) -> Scalar:
        return -0.5 * (as_float(x) ** 2 / self.variance + LOG_TWO_PI + math.log(self.variance))

    def to_natural(self, expectation: Float[Array, "1"]) -> Float[Array, "1"]:
        return expectation / self.variance

    def sample(self, natural: Float[Array, "1"], key: PRNGKeyArray, count: int) -> Array:
        noise = jax.random.normal(key, (count,), natural.dtype)
        return self.variance * natural[0] + math.sqrt(self.variance) * noise

    def standard(self, dtype: Any = None) -> Float[Array, "1"]:
        return jnp.zeros(1, dtype)


class Gaussian(AbstractExponentialFamily):
    """N(mu, v): theta = (mu / v, -1 / (2 v)) with theta_2 < 0, eta = (mu, mu^2 + v)."""

    has_cone = True

    def statistics(self, x: Array) -> Float[Array, "2"]:
        x = as_float(x)
        return jnp.stack([x, x**2])

    def log_partition(self, natural: Float[Array, "2"]) -> Scalar:
        first, second = natural
        return -(first**2) / (4 * second) - 0.5 * jnp.log(-2 * second)

    def log_base(self, x: Array) -> Scalar:
        return jnp.full((), -0.5 * LOG_TWO_PI, as_float(x).dtype)

    def to_natural(self, expectation: Float[Array, "2"]) -> Float[Array, "2"]:
        mean, variance = expectation[0], expectation[1] - expectation[0] ** 2
        return jnp.stack([mean / variance, -0.5 / variance])

    def contains(self, natural: Float[Array, "2"]) -> Bool[Array, ""]:
        return natural[1] < 0

    def objection(self, expectation: Float[Array, "2"]) -> str | None:
        variance = expectation[1] - expectation[0] ** 2
        if _cancelled(variance, expectation[1]):
            return _too_far(expectation)
        return None if float(variance) > 0 else "the variance is not above zero"

    def sample(self, natural: Float[Array, "2"], key: PRNGKeyArray, count: int) -> Array:
        variance = -0.5 / natural[1]
        noise = jax.random.normal(key, (count,), natural.dtype)
        return variance * natural[0] + jnp.sqrt(variance) * noise

    def standard(self, dtype: Any = None) -> Float[Array, "2"]:
        return jnp.asarray([0.0, -0.5], dtype)


class MultivariateGaussian(AbstractExponentialFamily):
    """N(m, S) in `dimension` d, with precision P = S^-1, in d + d (d + 1) / 2 coordinates.

    theta holds P m and then the lower triangle of -P / 2, row by row, eta the mean and then that of
    2 (S + m m^T), its diagonal halved: the product of both is then m^T P x - x^T P x / 2, every
    pair of an off-diagonal entry being counted once. Raises ValueError for a dimension below one.
    """

    dimension: Count = eqx.field(static=True)
    has_cone = True

    def __check_init__(self):
        check_fields(self)

    def statistics(self, x: Float[Array, " d"]) -> Float[Array, " k"]:
        x = as_float(x)
        return jnp.concatenate([x, self._packed(jnp.outer(x, x)) * self._multiplicity(x.dtype)])

    def log_partition(self, natural: Float[Array, " k"]) -> Scalar:
        first, root = natural[: self.dimension], self._root(natural)
        half = jax.scipy.linalg.solve_triangular(root, first, lower=True)
        return 0.5 * jnp.sum(half**2) - jnp.sum(jnp.log(jnp.diagonal(root)))

    def log_base(self, x: Float[Array, " d"]) -> Scalar:
        return jnp.full((), -0.5 * self.dimension * LOG_TWO_PI, as_float(x).dtype)

    def to_natural(self, expectation: Float[Array, " k"]) -> Float[Array, " k"]:
        mean, covariance = self._moments(expectation)
        both = jnp.linalg.solve(covariance, jnp.c_[mean, jnp.eye(self.dimension, dtype=mean.dtype)])
        return jnp.concatenate([both[:, 0], self._packed(-0.25 * (both[:, 1:] + both[:, 1:].T))])

    def contains(self, natural: Float[Array, " k"]) -> Bool[Array, ""]:
        return jnp.all(jnp.isfinite(self._root(natural)))

    def objection(self, expectation: Float[Array, " k"]) -> str | None:
        cancelled, least = _spread(self, expectation)
        if cancelled:
            return _too_far(expectation)
        return None if float(least) > 0 else "the covariance is not positive definite"

    def sample(self, natural: Float[Array, " k"], key: PRNGKeyArray, count: int) -> Array:
        root, d = self._root(natural), self.dimension
        noise = jax.random.normal(key, (d, count), natural.dtype)
        half = jax.scipy.linalg.solve_triangular(root, natural[:d], lower=True)
        return jax.scipy.linalg.solve_triangular(root.T, half[:, None] + noise, lower=False).T

    def standard(self, dtype: Any = None) -> Float[Array, " k"]:
        zero, eye = jnp.zeros(self.dimension, dtype), jnp.eye(self.dimension, dtype=dtype)
        return jnp.concatenate([zero, self._packed(-0.5 * eye)])

    def natural_of(
        self, mean: Float[Array, " d"], covariance: Float[Array, "d d"]
    ) -> Float[Array, " k"]:
        """theta of a mean and a covariance matrix."""
        second = self._packed(covariance + jnp.outer(mean, mean))
        return self.to_natural(jnp.concatenate([mean, second * self._multiplicity(mean.dtype)]))

    def moments(self, natural: Float[Array, " k"]) -> tuple[Array, Array]:
        """The mean (d,) and the covariance matrix (d, d)."""
        return self._moments(self.to_expectation(natural))

    def _moments(self, expectation: Float[Array, " k"]) -> tuple[Array, Array]:
        d = self.dimension
        mean = expectation[:d]
        second = self._symmetric(expectation[d:] / self._multiplicity(expectation.dtype))
        return mean, second - jnp.outer(mean, mean)

    def _root(self, natural: Float[Array, " k"]) -> Float[Array, "d d"]:
        """The Cholesky factor of P."""
        return jnp.linalg.cholesky(self._symmetric(-2 * natural[self.dimension :]))

    @property
    def _triangle(self) -> tuple[np.ndarray, np.ndarray]:
        return np.tril_indices(self.dimension)

    def _multiplicity(self, dtype: Any) -> Array:
        """How often an entry of the lower triangle stands in a symmetric matrix."""
        rows, columns = self._triangle
        return jnp.asarray(np.where(rows == columns, 1.0, 2.0), dtype)

    def _packed(self, matrix: Float[Array, "d d"]) -> Float[Array, " t"]:
        return matrix[self._triangle]

    def _symmetric(self, packed: Float[Array, " t"]) -> Float[Array, "d d"]:
        lower = jnp.zeros((self.dimension,) * 2, packed.dtype).at[self._triangle].set(packed)
        return lower + jnp.tril(lower, -1).T


class Exponential(AbstractExponentialFamily):
    """rate exp(-rate x) for x >= 0: theta = -rate < 0, eta = 1 / rate; arrays of one entry."""

    has_cone = True

    def statistics(self, x: Array) -> Float[Array, "1"]:
        return as_float(x)[None]

    def log_partition(self, natural: Float[Array, "1"]) -> Scalar:
        return -jnp.log(-natural[0])

    def log_base(self, x: Array) -> Scalar:
        x = as_float(x)
        return jnp.where(x >= 0, jnp.zeros_like(x), -jnp.inf)

    def to_natural(self, expectation: Float[Array, "1"]) -> Float[Array, "1"]:
        return -1 / expectation

    def contains(self, natural: Float[Array, "1"]) -> Bool[Array, ""]:
        return natural[0] < 0

    def objection(self, expectation: Float[Array, "1"]) -> str | None:
        return None if float(expectation[0]) > 0 else "the mean is not above zero"

    def sample(self, natural: Float[Array, "1"], key: PRNGKeyArray, count: int) -> Array:
        return jax.random.exponential(key, (count,), natural.dtype) / -natural[0]

    def standard(self, dtype: Any = None) -> Float[Array, "1"]:
        return -jnp.ones(1, dtype)


@eqx.filter_jit
def _spread(family: MultivariateGaussian, expectation: Array) -> tuple[Array, Array]:
    """Whether rounding has left nothing of a variance, and the least eigenvalue of S."""
    mean, covariance = family._moments(expectation)
    variances = jnp.diagonal(covariance)
    return _cancelled(variances, variances + mean**2), jnp.linalg.eigvalsh(covariance)[0]


def _cancelled(variance: Array, second: Array) -> Bool[Array, ""]:
    """Whether rounding has left less than three digits of E[x^2] - E[x]^2, which is not zero."""
    rounding = 1e3 * float(jnp.finfo(second.dtype).eps) * second
    return jnp.any((variance != 0) & (variance < rounding))


def _too_far(expectation: Array) -> str:
    return (
        f"the mean is too far from zero for {expectation.dtype}: subtract it from the data, or"
        " compute in float64"
    )
