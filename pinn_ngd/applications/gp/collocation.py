"""Linear equations with noisy data, solved by conditioning a Gaussian process on them.

Before anything is known u ~ GP(0, k). An observation is a linear functional of u with noise: a
value, a flux, -Laplace u at a point. Observations of a Gaussian process are jointly normal, with
the covariances L_x L'_y k(x, y), so that the posterior of u is a Gaussian process in closed form
(Graepel 2003; Cockayne et al. 2017): its mean is the solution, its deviation the error bar. It
counts what the equation at so many points leaves open, and the noise of the data.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Real, Scalar

from .kernels import float32_advice, variances
from .parameters import of_one_type
from .processes import Marginals

JITTER = 1e-10


class Observation(eqx.Module):
    """y_i = (L u)(x_i) + noise of the given deviation, L u a function `fn(u, x)` linear in u.

        Observation(lambda u, x: -laplacian(u)(x), points, source)
        Observation(lambda u, x: u(x), places, measured, 0.05)

    `points` (n, d), `values` (n,); `deviation` is one number or one for each value, 0 for an
    equation that holds exactly. `fn` holds the part of a residual that contains u; its data are
    `values`. Whole numbers are taken as floating-point ones.

    Raises ValueError where their lengths differ, for numbers that are not finite, and for a
    negative deviation.
    """

    fn: Callable[[Callable, Any], Any]
    points: Float[Array, "n d"]
    values: Float[Array, " n"]
    deviation: Float[Array, " n"]

    def __init__(self, fn: Callable, points: Any, values: Any, deviation: Any = 0.0):
        self.fn, (self.points, self.values) = fn, of_one_type(points, values)
        if self.points.ndim != 2 or self.values.shape != self.points.shape[:1]:
            raise ValueError(
                f"`points` have the shape {self.points.shape} and `values` {self.values.shape}: "
                "give points (n, d) and one value for each."
            )
        given = jnp.asarray(deviation, self.values.dtype)
        if given.shape not in ((), self.values.shape) or not bool(jnp.all(given >= 0)):
            raise ValueError(
                f"`deviation` has the shape {given.shape} or is negative: give the standard "
                "deviation of the noise, one number from 0 or one for each value."
            )
        self.deviation = jnp.broadcast_to(given, self.values.shape)
        if not all(np.isfinite(a).all() for a in (self.points, self.values, self.deviation)):
            raise ValueError(
                "`points`, `values` and `deviation` must be finite: leave the others out."
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

    def marginals(self, inputs: Real[Array, "m d"]) -> Marginals:
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
def _conditioned(
    kernel: Any, observations: tuple[Observation, ...], jitter: float
) -> tuple[Conditioned, list["_Fitness"]]:
    rows = [[_block(kernel, a, b) for b in observations] for a in observations]
    prior = [jnp.diagonal(rows[i][i]) for i in range(len(rows))]
    fits = [_fitness(kernel, *pair) for pair in zip(observations, prior, strict=True)]
    gram = jnp.block(rows)
    variance = jnp.concatenate([one.deviation for one in observations]) ** 2
    gram = gram + jnp.diag(variance)
    scale = jnp.sqrt(jnp.diagonal(gram))
    unit = gram / jnp.outer(scale, scale)
    factor = jnp.linalg.cholesky(unit + jitter * jnp.eye(len(unit), dtype=unit.dtype))
    values = jnp.concatenate([one.values for one in observations])
    solved = solve_triangular(factor, values / scale, lower=True)
    return Conditioned(kernel, observations, scale, factor, solved), fits


def condition(
    kernel: Any, observations: Sequence[Observation], *, jitter: float = JITTER
) -> Conditioned:
    """The posterior of u ~ GP(0, kernel) given observations.

    The kernel needs as many derivatives in both points as the functionals take, which `RBF` has.
    `jitter` times the sum of its prior variance and that of its noise is added to the variance of
    each observation. The cost is that of a Cholesky factorization of their number.

    Raises ValueError without observations, for a functional that is not linear in u or takes
    derivatives that the kernel lacks, and where the covariance has no Cholesky factor.
    """
    if not observations:
        raise ValueError("`observations` are empty: give at least one `Observation`.")
    found, fits = _conditioned(kernel, tuple(observations), jitter)
    for number, fitness in enumerate(fits, start=1):
        _require(fitness, number)
    if not np.isfinite(np.asarray(found.factor)).all():
        raise ValueError(
            f"{float32_advice(found.factor)}the covariance of {found.solved.size} observations "
            f"has no Cholesky factor with jitter={jitter:g}: two of them say the same, the length "
            "of the kernel is far above the distance of the points, or it lacks derivatives; take "
            "fewer points, a shorter length or a larger `jitter`."
        )
    return found


class _Fitness(NamedTuple):
    """Whether an observation is linear in u, has a prior variance, and a continuous covariance."""

    linear: Array
    positive: Array
    continuous: Array


def _fitness(kernel: Any, one: Observation, prior: Float[Array, " n"]) -> _Fitness:
    return _Fitness(
        _is_linear(one), jnp.all((prior > 0) & jnp.isfinite(prior)), _is_continuous(kernel, one)
    )


def _is_linear(one: Observation) -> Array:
    """Whether L 0 = 0 and L (-2 g) = -2 L g for a smooth g, at the first point.

    To multiply by a power of two is exact, so that a linear functional passes to the last digits.
    """
    x = one.points[0]

    def at(factor: float) -> Array:
        def g(q: Array) -> Scalar:
            slopes = jnp.linspace(1.0, 2.0, x.size, dtype=x.dtype)
            return factor * jnp.sin(0.7 + jnp.sum(slopes * (q - x)))

        return jnp.asarray(one.fn(g, x))

    zero, once, twice = at(0.0), at(1.0), at(-2.0)
    tolerance = math.sqrt(float(jnp.finfo(x.dtype).eps))
    return (zero == 0) & (jnp.abs(twice + 2 * once) <= tolerance * jnp.abs(once))


def _is_continuous(kernel: Any, one: Observation) -> Array:
    """Whether the variance of L u at the first point is the limit of covariances nearby.

    Derivatives of a kernel that do not exist where its points coincide come out as some finite
    number there, and as others at the smallest distance. A kernel that jumps itself, such as that
    of white noise, is not asked.
    """
    x = one.points[0]
    size = jnp.max(jnp.abs(one.points))
    step = math.sqrt(float(jnp.finfo(x.dtype).eps)) * jnp.where(size > 0, size, 1.0)

    def covariance(fn: Callable, shift: Any) -> Array:
        return fn(lambda p: fn(lambda q: kernel(p, q + shift), x), x)

    def jump(fn: Callable) -> Array:
        here, nearby = covariance(fn, 0 * step), covariance(fn, step)
        return jnp.abs(nearby - here) > 0.1 * jnp.abs(here)

    return ~jump(one.fn) | jump(lambda u, x: u(x))


def _require(fitness: _Fitness, number: int) -> None:
    if not fitness.linear:
        raise ValueError(
            f"`fn` of observation {number} is not linear in u: leave the data out of it and give "
            "it as `values`."
        )
    if not fitness.positive:
        raise ValueError(
            f"observation {number} has no positive prior variance at one of its points: its `fn` "
            "does not contain u there, or the kernel lacks its derivatives; leave the point out, "
            "or take `RBF`."
        )
    if not fitness.continuous:
        raise ValueError(f"the kernel lacks the derivatives of observation {number}: take `RBF`.")


def _block(kernel: Any, a: Observation, b: Observation) -> Array:
    """Covariances (n, m) of two observations: each functional applied to its own point."""

    def pair(x: Array, y: Array) -> Array:
        return a.fn(lambda p: b.fn(lambda q: kernel(p, q), y), x)

    return jax.vmap(lambda x: jax.vmap(lambda y: pair(x, y))(b.points))(a.points)
