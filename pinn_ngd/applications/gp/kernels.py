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
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Real, Scalar

from .parameters import Unknown, of_one_type, positive, value_of

Point = Real[Array, " d"]
Kernel = Callable[[Any, Any], Any]


class AbstractKernel(eqx.Module):
    """A positive semidefinite function of two points."""

    @abc.abstractmethod
    def __call__(self, x: Point, y: Point) -> Scalar:
        """The covariance of the values at x and y."""

    def __add__(self, other: Any) -> "Sum":
        return Sum((self, _function(other)))

    def __mul__(self, other: Any) -> "Product":
        return Product((self, _function(other)))

    def __radd__(self, other: Any) -> "Sum":
        return Sum((_function(other), self))

    def __rmul__(self, other: Any) -> "Product":
        return Product((_function(other), self))


class AbstractStationary(AbstractKernel):
    """k(x, y) = variance * correlation(r^2), r^2 = sum_j ((x_j - y_j) / lengthscale_j)^2.

    `lengthscale` is one number, or one for each coordinate (automatic relevance determination).
    Both parameters are positive and trained; see `positive`. Points of whole numbers are taken as
    floating-point ones. Raises ValueError for points with another number of coordinates than the
    other point or `lengthscale` has.
    """

    lengthscale: Unknown = eqx.field(converter=positive, default=1.0)
    variance: Unknown = eqx.field(converter=positive, default=1.0)

    @abc.abstractmethod
    def correlation(self, squared: Scalar) -> Scalar:
        """The correlation at the squared distance r^2, one at zero."""

    def __call__(self, x: Point, y: Point) -> Scalar:
        x, y = of_one_type(x, y)
        length = value_of(self.lengthscale).astype(x.dtype)
        _check_sizes(x, y, length)
        scaled = (x - y) / length
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
        return _matern32(squared)


class Matern52(AbstractStationary):
    """k = variance (1 + a + a^2 / 3) exp(-a), a = sqrt(5) r: functions with two derivatives."""

    def correlation(self, squared: Scalar) -> Scalar:
        return _matern52(squared)


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
    kernel: Kernel, x: Real[Array, "n d"], y: Real[Array, "m d"]
) -> Float[Array, "n m"]:
    """The matrix k(x_i, y_j)."""
    return jax.vmap(lambda a: jax.vmap(lambda b: kernel(a, b))(y))(x)


def variances(kernel: Kernel, x: Real[Array, "n d"]) -> Float[Array, " n"]:
    """The diagonal k(x_i, x_i)."""
    return jax.vmap(lambda a: kernel(a, a))(x)


def cholesky_factor(kernel: Kernel, x: Float[Array, "n d"], jitter: float) -> Float[Array, "n n"]:
    """The lower triangular L with L L^T = K + jitter mean(diag K) I, K_ij = k(x_i, x_j).

    The jitter is relative to the mean variance. With it the prior is that of the function plus
    independent noise of this variance, and all formulas of this package take it so; not a number
    where the sum is not positive definite.
    """
    return jnp.linalg.cholesky(prior_covariance(kernel, x, jitter))


@eqx.filter_jit  # processes and closed forms ask for it outside of a compiled step, too
def prior_covariance(kernel: Kernel, x: Float[Array, "n d"], jitter: float) -> Float[Array, "n n"]:
    """The matrix K + jitter mean(diag K) I, of which `cholesky_factor` is the factor."""
    matrix = cross_covariance(kernel, x, x)
    noise = jitter * jnp.mean(jnp.diagonal(matrix))
    return matrix + noise * jnp.eye(len(x), dtype=matrix.dtype)


def require_factor(factor: Array, jitter: float) -> Array:
    """The Cholesky factor of a kernel matrix itself, where it exists.

    Raises ValueError where it holds what is not a number. Inside of a compiled function values are
    not known: there the factor is returned as it is.
    """
    if not isinstance(factor, Tracer) and not np.isfinite(np.asarray(factor)).all():
        raise ValueError(
            f"{float32_advice(factor)}the kernel matrix of {len(factor)} points has no Cholesky "
            f"factor with jitter={jitter:g}: two points coincide, or the kernel has a rank below "
            "their number; take distinct or fewer points, or a larger `jitter`."
        )
    return factor


def float32_advice(array: Array) -> str:
    """What a message about a missing factor of float32 begins with; of float64 nothing."""
    if array.dtype == jnp.float64:
        return ""
    return (
        'in float32 a jitter below 1e-6 is lost: call `jax.config.update("jax_enable_x64", True)` '
        "and give data of float64; otherwise "
    )


@jax.custom_jvp
def _matern32(squared: Scalar) -> Scalar:
    """(1 + a) exp(-a), a = sqrt(3 s), s = r^2. Its derivative by s is -3/2 exp(-a), also at s = 0,
    where a has none."""
    a = _root(3 * squared)
    return (1 + a) * jnp.exp(-a)


@_matern32.defjvp
def _(primals: tuple[Scalar], tangents: tuple[Scalar]) -> tuple[Scalar, Scalar]:
    (squared,), (tangent,) = primals, tangents
    return _matern32(squared), -1.5 * jnp.exp(-_root(3 * squared)) * tangent


@jax.custom_jvp
def _matern52(squared: Scalar) -> Scalar:
    """(1 + a + a^2 / 3) exp(-a), a = sqrt(5 s), s = r^2. Its derivative by s is
    -5/6 (1 + a) exp(-a), which is a correlation of the kind before, of 5 s / 3."""
    a = _root(5 * squared)
    return (1 + a + a**2 / 3) * jnp.exp(-a)


@_matern52.defjvp
def _(primals: tuple[Scalar], tangents: tuple[Scalar]) -> tuple[Scalar, Scalar]:
    (squared,), (tangent,) = primals, tangents
    return _matern52(squared), -5 / 6 * _matern32(5 / 3 * squared) * tangent


def _function(other: Any) -> Kernel:
    if not callable(other):
        raise TypeError(
            f"kernels are added to and multiplied by kernels, and this is {other!r}: give a number "
            "as the `variance` of the kernel, RBF(length, 2.0)."
        )
    return other


def _check_sizes(x: Array, y: Array, length: Array) -> None:
    if x.shape != y.shape or length.size not in (1, x.size):
        raise ValueError(
            f"the points of a kernel have {x.size} and {y.size} coordinates and its `lengthscale` "
            f"has {length.size} numbers: give all points the same coordinates, and one length or "
            "one for each of them."
        )


def _root(squared: Scalar) -> Scalar:
    """The square root, with derivative zero at zero instead of none."""
    positive_part = jnp.where(squared > 0, squared, jnp.ones_like(squared))
    return jnp.where(squared > 0, jnp.sqrt(positive_part), jnp.zeros_like(squared))
