"""Linear equations with noisy data, solved by conditioning a Gaussian process on them.

Before anything is known u ~ GP(0, k). An observation is a linear functional of u with noise: a
value, a flux, -Laplace u at a point. Observations of a Gaussian process are jointly normal, with
the covariances L_x L'_y k(x, y), so that the posterior of u is a Gaussian process in closed form
(Graepel 2003; Cockayne et al. 2017): its mean is the solution, its deviation the error bar. It
counts what the equation at so many points leaves open, and the noise of the data.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Scalar

from .kernels import variances
from .processes import Marginals

JITTER = 1e-10


class Observation(eqx.Module):
    """y_i = (L u)(x_i) + noise of the given deviation, L u a function `fn(u, x)` linear in u.

        Observation(lambda u, x: -laplacian(u)(x), points, source)
        Observation(lambda u, x: u(x), places, measured, 0.05)

    `points` (n, d), `values` (n,); `deviation` is one number or one for each value, 0 for an
    equation that holds exactly. Raises ValueError where their lengths differ.
    """

    fn: Callable[[Callable, Any], Any]
    points: Float[Array, "n d"]
    values: Float[Array, " n"]
    deviation: Float[Array, " n"]

    def __init__(self, fn: Callable, points: Any, values: Any, deviation: Any = 0.0):
        self.fn, self.points, self.values = fn, jnp.asarray(points), jnp.asarray(values)
        if self.points.ndim != 2 or self.values.shape != self.points.shape[:1]:
            raise ValueError(
                f"`points` have the shape {self.points.shape} and `values` {self.values.shape}: "
                "give points (n, d) and one value for each."
            )
        self.deviation = jnp.broadcast_to(
            jnp.asarray(deviation, self.values.dtype), self.values.shape
        )


class Conditioned(eqx.Module):
    """The posterior of u given observations: a function of a point, its mean.

    `factor` is the Cholesky factor of their covariance G, scaled to the diagonal one by `scale`,
    and `solved` (n,) is factor^-1 of the scaled values.
    """

    kernel: Any
    observations: tuple[Observation, ...]
    scale: Float[Array, " n"]
    factor: Float[Array, "n n"]
    solved: Float[Array, " n"]

    def __call__(self, x: Float[Array, " d"]) -> Scalar:
        return self.marginals(x[None])[0][0]

    def marginals(self, inputs: Float[Array, "m d"]) -> Marginals:
        """Means and variances of u at the inputs."""
        cross = jax.vmap(lambda x: self._with_value(x))(inputs)
        a = solve_triangular(self.factor, (cross / self.scale).T, lower=True)
        left = jnp.maximum(variances(self.kernel, inputs) - jnp.sum(a**2, axis=0), 0.0)
        return a.T @ self.solved, left

    def log_evidence(self) -> Scalar:
        """log p(values), by which kernels can be compared."""
        size = self.solved.size
        logarithms = jnp.sum(jnp.log(jnp.diagonal(self.factor) * self.scale))
        return -0.5 * (self.solved @ self.solved + size * math.log(2 * math.pi)) - logarithms

    def _with_value(self, x: Array) -> Array:
        """The covariances of u(x) with all observations."""
        parts = [
            jax.vmap(lambda y, one=one: one.fn(lambda q: self.kernel(x, q), y))(one.points)
            for one in self.observations
        ]
        return jnp.concatenate(parts)


@eqx.filter_jit
def _conditioned(kernel: Any, observations: tuple[Observation, ...], jitter: float) -> Conditioned:
    rows = [[_block(kernel, a, b) for b in observations] for a in observations]
    gram = jnp.block(rows)
    variance = jnp.concatenate([one.deviation for one in observations]) ** 2
    gram = gram + jnp.diag(variance)
    scale = jnp.sqrt(jnp.diagonal(gram))
    unit = gram / jnp.outer(scale, scale)
    factor = jnp.linalg.cholesky(unit + jitter * jnp.eye(len(unit), dtype=unit.dtype))
    values = jnp.concatenate([one.values for one in observations])
    solved = solve_triangular(factor, values / scale, lower=True)
    return Conditioned(kernel, observations, scale, factor, solved)


def condition(
    kernel: Any, observations: Sequence[Observation], *, jitter: float = JITTER
) -> Conditioned:
    """The posterior of u ~ GP(0, kernel) given observations.

    The kernel needs as many derivatives in both points as the functionals take, which `RBF` has.
    `jitter` times its own prior variance is added to the variance of each observation. The cost is
    that of a Cholesky factorization of their number.

    Raises ValueError where the covariance has no Cholesky factor.
    """
    found = _conditioned(kernel, tuple(observations), jitter)
    if not np.isfinite(np.asarray(found.factor)).all():
        raise ValueError(
            f"the covariance of {found.solved.size} observations has no Cholesky factor with "
            f"jitter={jitter:g}: two of them say the same, the length of the kernel is far above "
            "the distance of the points, or it lacks derivatives; take fewer points, a shorter "
            "length or a larger `jitter`."
        )
    return found


def _block(kernel: Any, a: Observation, b: Observation) -> Array:
    """Covariances (n, m) of two observations: each functional applied to its own point."""

    def pair(x: Array, y: Array) -> Array:
        return a.fn(lambda p: b.fn(lambda q: kernel(p, q), y), x)

    return jax.vmap(lambda x: jax.vmap(lambda y: pair(x, y))(b.points))(a.points)
