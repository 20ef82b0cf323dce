"""Variational approximations q of a Gaussian process: of full covariance, and sparse.

The values u of the latent function at m points z (all data: VGP; m inducing inputs: SVGP) have
the prior N(0, K), K = L L^T, and the approximate posterior q. *Whitened*, q = N(m, S) is that of
v = L^-1 u, whose prior is N(0, I); else it is that of u itself.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Real, Scalar

from ..._settings import NonNegative
from ...families.family import as_float
from ...models import Frozen, MultivariateNormal
from .kernels import cholesky_factor, cross_covariance, require_factor, variances

Inputs = Real[Array, "n d"]
Marginals = tuple[Float[Array, " n"], Float[Array, " n"]]
JITTER = 1e-8


class Points(eqx.Module):
    """Points (m, d) that a model keeps; trained unless it is `Frozen(Points(...))`."""

    array: Float[Array, "m d"]

    def __call__(self) -> Float[Array, "m d"]:
        """The points."""
        return self.array


class AbstractProcess(eqx.Module):
    """An approximate posterior of one latent function.

    `kernel` is a callable of two points, `prior_mean` one of a point or None for zero, `q` the
    distribution of the values at `points`, whitened or not. `jitter` times the mean prior variance
    is added to the diagonal of K: the prior at the points is that of the function plus independent
    noise of this variance.
    """

    kernel: Any
    points: Points | Frozen
    q: MultivariateNormal
    prior_mean: Callable | None
    whitened: bool = eqx.field(static=True)
    jitter: NonNegative = eqx.field(static=True)

    @abc.abstractmethod
    def at_data(self, inputs: Inputs) -> Marginals:
        """Means and variances of q at the training inputs."""

    def marginals(self, inputs: Inputs) -> Marginals:
        """Means and variances of the latent function at any inputs."""
        inputs = as_float(inputs)
        points, factor = self.points(), self.prior_factor()
        a = solve_triangular(factor, cross_covariance(self.kernel, points, inputs), lower=True)
        given_u = jnp.maximum(variances(self.kernel, inputs) - jnp.sum(a**2, axis=0), 0.0)
        if not self.whitened:
            a = solve_triangular(factor, a, lower=True, trans=1)
        spread = self.q.factor.T @ a
        mean = a.T @ self.q.mean + prior_means(self.prior_mean, inputs)
        return mean, given_u + jnp.sum(spread**2, axis=0)

    def divergence(self) -> Scalar:
        """The Kullback-Leibler divergence of q from the prior."""
        mean, root = self.q.mean, self.q.factor
        log_ratio = -jnp.sum(jnp.log(jnp.abs(jnp.diagonal(root))))
        if not self.whitened:
            factor = self.prior_factor()
            mean = solve_triangular(factor, mean, lower=True)
            root = solve_triangular(factor, root, lower=True)
            log_ratio += jnp.sum(jnp.log(jnp.diagonal(factor)))
        return 0.5 * (jnp.sum(root**2) + mean @ mean - mean.size) + log_ratio

    def prior_factor(self) -> Float[Array, "m m"]:
        """L, the Cholesky factor of the prior covariance at the points."""
        return cholesky_factor(self.kernel, self.points(), self.jitter)

    def __call__(self, x: Float[Array, " d"]) -> Scalar:
        """The mean of the latent function at one point."""
        return self.marginals(x[None])[0][0]

    def check(self, inputs: Any) -> None:
        """Raises ValueError for inputs with another number of coordinates than the points have,
        and where the prior covariance has no Cholesky factor."""
        given, own = np.shape(inputs)[1], self.points().shape[1]
        if given != own:
            raise ValueError(
                f"`inputs` have {given} coordinates and the points of a process {own}: give all "
                "of them the same."
            )
        require_factor(eqx.filter_jit(_factor_of)(self), self.jitter)


class SVGP(AbstractProcess):
    """A sparse variational process with inducing inputs (Titsias 2009, Hensman et al. 2013).

    `inducing` (m, d) is where the inducing variables lie; they are trained unless
    `train_inducing` is false. q starts as the prior.

    Raises ValueError for points that are no array (m, d).
    """

    def __init__(
        self,
        kernel: Any,
        inducing: Any,
        *,
        whitened: bool = True,
        train_inducing: bool = True,
        prior_mean: Callable | None = None,
        jitter: float = JITTER,
    ):
        points = Points(_as_points(inducing, "inducing"))
        self.kernel, self.prior_mean = kernel, prior_mean
        self.points = points if train_inducing else Frozen(points)
        self.whitened, self.jitter = whitened, jitter
        self.q = _prior(kernel, points(), whitened, jitter)

    def at_data(self, inputs: Inputs) -> Marginals:
        return self.marginals(inputs)


class VGP(AbstractProcess):
    """A variational process of full covariance: the points are those of the data.

    Its bound needs all data in each step, in the order in which they are given here. q starts as
    the prior.

    Raises ValueError for inputs that are no array (n, d).
    """

    def __init__(
        self,
        kernel: Any,
        inputs: Any,
        *,
        whitened: bool = True,
        prior_mean: Callable | None = None,
        jitter: float = JITTER,
    ):
        points = Points(_as_points(inputs, "inputs"))
        self.kernel, self.prior_mean = kernel, prior_mean
        self.points = Frozen(points)
        self.whitened, self.jitter = whitened, jitter
        self.q = _prior(kernel, points(), whitened, jitter)

    def at_data(self, inputs: Inputs) -> Marginals:
        mean, root = self.q.mean, self.q.factor
        if self.whitened:
            factor = self.prior_factor()
            mean, root = factor @ mean, factor @ root
        return mean + prior_means(self.prior_mean, inputs), jnp.sum(root**2, axis=1)

    def check(self, inputs: Any) -> None:
        points = np.asarray(self.points())
        if np.shape(inputs) != points.shape or not np.array_equal(inputs, points):
            raise ValueError(
                f"a VGP of {len(points)} data needs just these in each step, in their order, and a "
                f"batch has {np.shape(inputs)[0]}: leave out the batch size, or take an `SVGP`."
            )
        super().check(inputs)


def prior_means(prior_mean: Callable | None, inputs: Inputs) -> Float[Array, " n"]:
    """The prior mean at the inputs."""
    inputs = as_float(inputs)
    if prior_mean is None:
        return jnp.zeros(len(inputs), inputs.dtype)
    return jax.vmap(prior_mean)(inputs)


def _factor_of(process: AbstractProcess) -> Array:
    return process.prior_factor()


def _prior(kernel: Any, points: Array, whitened: bool, jitter: float) -> MultivariateNormal:
    """The prior as the first q."""
    eye = jnp.eye(len(points), dtype=points.dtype)
    root = eye if whitened else cholesky_factor(kernel, points, jitter)
    return MultivariateNormal(jnp.zeros(len(points), points.dtype), root)


def _as_points(array: Any, name: str) -> Array:
    found = jnp.asarray(array)
    if found.ndim != 2 or not len(found) or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(
            f"`{name}` has the shape {found.shape} and type {found.dtype}: give points (n, d) of "
            "floating-point numbers, x[:, None] for one coordinate."
        )
    return found
