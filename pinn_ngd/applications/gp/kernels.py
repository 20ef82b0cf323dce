"""Kernels: the prior covariance k(x, y) of a function's values at two points.

A kernel is a function of two points. Any callable of two points will do where a kernel is asked
for; those of this module can be added and multiplied.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from .parameters import Unknown, positive, value_of

Point = Float[Array, " d"]
Kernel = Callable[[Any, Any], Any]


class AbstractKernel(eqx.Module):
    """A positive semidefinite function of two points."""

    @abc.abstractmethod
    def __call__(self, x: Point, y: Point) -> Scalar:
        """The covariance of the values at x and y."""

    def __add__(self, other: Kernel) -> "Sum":
        return Sum((self, other))

    def __mul__(self, other: Kernel) -> "Product":
        return Product((self, other))


class AbstractStationary(AbstractKernel):
    """k(x, y) = variance * correlation(r^2), r^2 = sum_j ((x_j - y_j) / lengthscale_j)^2.

    `lengthscale` is one number, or one for each coordinate (automatic relevance determination).
    Both parameters are positive and trained; see `positive`.
    """

    lengthscale: Unknown = eqx.field(converter=positive, default=1.0)
    variance: Unknown = eqx.field(converter=positive, default=1.0)

    @abc.abstractmethod
    def correlation(self, squared: Scalar) -> Scalar:
        """The correlation at the squared distance r^2, one at zero."""

    def __call__(self, x: Point, y: Point) -> Scalar:
        scaled = (x - y) / value_of(self.lengthscale).astype(x.dtype)
        return value_of(self.variance).astype(x.dtype) * self.correlation(jnp.sum(scaled**2))


class RBF(AbstractStationary):
    """k = variance exp(-r^2 / 2), the squared exponential kernel: all derivatives exist."""

    def correlation(self, squared: Scalar) -> Scalar:
        return jnp.exp(-squared / 2)


class Matern12(AbstractStationary):
    """k = variance exp(-r): continuous functions without derivatives."""

    def correlation(self, squared: Scalar) -> Scalar:
        return jnp.exp(-_root(squared))


class Matern32(AbstractStationary):
    """k = variance (1 + a) exp(-a), a = sqrt(3) r: functions with one derivative."""

    def correlation(self, squared: Scalar) -> Scalar:
        a = _root(3 * squared)
        return (1 + a) * jnp.exp(-a)


class Matern52(AbstractStationary):
    """k = variance (1 + a + a^2 / 3) exp(-a), a = sqrt(5) r: functions with two derivatives."""

    def correlation(self, squared: Scalar) -> Scalar:
        a = _root(5 * squared)
        return (1 + a + a**2 / 3) * jnp.exp(-a)


class Sum(AbstractKernel):
    """The sum of kernels: the covariance of a sum of independent functions."""

    kernels: tuple[Any, ...]

    def __call__(self, x: Point, y: Point) -> Scalar:
        return jnp.sum(jnp.stack([kernel(x, y) for kernel in self.kernels]))


class Product(AbstractKernel):
    """The product of kernels, which is positive semidefinite too (Schur)."""

    kernels: tuple[Any, ...]

    def __call__(self, x: Point, y: Point) -> Scalar:
        return jnp.prod(jnp.stack([kernel(x, y) for kernel in self.kernels]))


class OfCoordinates(AbstractKernel):
    """A kernel of some coordinates of the points alone: sums of these are additive models."""

    kernel: Any
    coordinates: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Point, y: Point) -> Scalar:
        chosen = jnp.asarray(self.coordinates)
        return self.kernel(x[chosen], y[chosen])


def cross_covariance(
    kernel: Kernel, x: Float[Array, "n d"], y: Float[Array, "m d"]
) -> Float[Array, "n m"]:
    """The matrix k(x_i, y_j)."""
    return jax.vmap(lambda a: jax.vmap(lambda b: kernel(a, b))(y))(x)


def variances(kernel: Kernel, x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """The diagonal k(x_i, x_i)."""
    return jax.vmap(lambda a: kernel(a, a))(x)


def cholesky_factor(kernel: Kernel, x: Float[Array, "n d"], jitter: float) -> Float[Array, "n n"]:
    """The lower triangular L with L L^T = K + jitter mean(diag K) I, K_ij = k(x_i, x_j).

    The jitter is relative to the mean variance. With it the prior is that of the function plus
    independent noise of this variance, and all formulas of this package take it so; not a number
    where the sum is not positive definite.
    """
    matrix = cross_covariance(kernel, x, x)
    noise = jitter * jnp.mean(jnp.diagonal(matrix))
    return jnp.linalg.cholesky(matrix + noise * jnp.eye(len(x), dtype=matrix.dtype))


def _root(squared: Scalar) -> Scalar:
    """The square root, with derivative zero at zero instead of none."""
    positive_part = jnp.where(squared > 0, squared, jnp.ones_like(squared))
    return jnp.where(squared > 0, jnp.sqrt(positive_part), jnp.zeros_like(squared))
