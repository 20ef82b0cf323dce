"""Simulations of dx = -(A x - b) dt + N(0, 2 temperature dt) on flat vectors.

A process answers `run(x, b, schedule, key)` with what is read and the state at the end; a start x
of None stands for b. `products` adds what the run took to the products that were spent before it.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PRNGKeyArray

from ..linalg.spectral import is_zero
from .arguments import is_absent
from .device import clipped
from .filters import (
    decay_mean,
    end_variance,
    joint_factor,
    mean_settled,
    read_out_variance,
    scheme_variance,
    settled,
)
from .read_out import Schedule
from .spectra import KrylovSpectrum, LowRankSpectrum, Scalar, WholeSpectrum, flat_product

Vector = Inexact[Array, " n"]


class SpectralProcess(eqx.Module):
    """The exact law at any time, with filters of the spectrum instead of time steps.

    The mean is exp(-A t) x(0) + settled(A, t) b, a sum of two filters of vectors that are given:
    no difference of x(0) and A^-1 b is formed, which would cancel. Where x(0) is b it is one filter
    of b. At time zero x(0) is returned exactly.
    """

    spectrum: WholeSpectrum | KrylovSpectrum

    def run(
        self,
        x: Vector | None,
        b: Vector,
        schedule: Schedule,
        key: PRNGKeyArray | None,
        target: Array | None = None,
    ) -> tuple[Vector, Vector]:
        """x is the start, None for b. With `target` b is A^T target, A the wide factor."""
        mean = self._mean(x, b, schedule, target)
        start = b if x is None else x
        mean = [jnp.where(jnp.asarray(schedule.time) == 0, start, m) for m in mean]
        if key is not None:
            scale = _root(schedule.temperature, b)
            noise = self._noise(b, schedule, key)
            mean = [m + scale * z for m, z in zip(mean, noise, strict=True)]
        return mean[0], mean[-1]

    def variance(self, values: Array, schedule: Schedule) -> Array:
        """That of what is read, at unit temperature, of modes with those eigenvalues."""
        return law_variance(values, schedule)

    def products(self, spent: Array, started: bool, noisy: bool, schedule: Schedule) -> Array:
        """Those of every vector that the spectrum is applied to: mean, own start and noises."""
        noises = 1 if not schedule.average else 2 if is_zero(schedule.burn_in) else 3
        return spent + (1 + started + noisy * noises) * self.spectrum.products

    def _mean(
        self, x: Vector | None, b: Vector, schedule: Schedule, target: Array | None
    ) -> list[Vector]:
        of_start, of_force = _filters(schedule)

        def apply(functions: list[Scalar]) -> list[Vector]:
            if target is not None and isinstance(self.spectrum, LowRankSpectrum):
                return self.spectrum.apply_rows(functions, target)
            return self.spectrum.apply(functions, b)

        if x is None:
            pairs = zip(of_start, of_force, strict=True)
            return apply([lambda a, f=f, g=g: f(a) + g(a) for f, g in pairs])
        parts = zip(self.spectrum.apply(of_start, x), apply(of_force), strict=True)
        return [kept + forced for kept, forced in parts]

    def _noise(self, like: Vector, schedule: Schedule, key: PRNGKeyArray) -> list[Vector]:
        """What is read and the end, at unit temperature, with their joint law."""
        if not schedule.average:
            root = [lambda a: jnp.sqrt(end_variance(a, schedule.time))]
            return self.spectrum.apply(root, _normal(key, like))
        window = _window(schedule, like.dtype)
        before, within = jax.random.split(key)
        first, second = (_normal(k, like) for k in jax.random.split(within))
        factor = [lambda a, i=i: joint_factor(a, window)[i] for i in range(3)]
        end, shared = self.spectrum.apply(factor[:2], first)
        (own,) = self.spectrum.apply(factor[2:], second)
        if is_zero(schedule.burn_in):
            return [shared + own, end]

        def inherited(a: Array) -> Array:
            return jnp.sqrt(end_variance(a, schedule.burn_in))

        bequest = [
            lambda a: decay_mean(a * window) * inherited(a),
            lambda a: jnp.exp(-a * window) * inherited(a),
        ]
        read, kept = self.spectrum.apply(bequest, _normal(before, like))
        return [shared + own + read, end + kept]


def law_variance(values: Array, schedule: Schedule) -> Array:
    """The variance of what is read of the process itself, at unit temperature."""
    return read_out_variance(values, schedule.time, schedule.burn_in, schedule.average)


def _filters(schedule: Schedule) -> tuple[list[Scalar], list[Scalar]]:
    """What start and force contribute to what is read and, for an average, to the end."""

    def decay(a: Array) -> Array:
        return jnp.exp(-a * jnp.asarray(schedule.time, a.dtype))

    def force(a: Array) -> Array:
        return settled(a, schedule.time)

    if not schedule.average:
        return [decay], [force]

    def mean_decay(a: Array) -> Array:
        start = jnp.exp(-a * jnp.asarray(schedule.burn_in, a.dtype))
        return start * decay_mean(a * _window(schedule, a.dtype))

    def mean_force(a: Array) -> Array:
        window = _window(schedule, a.dtype)
        return settled(a, schedule.burn_in) * decay_mean(a * window) + mean_settled(a, window)

    return [mean_decay, decay], [mean_force, force]


def _window(schedule: Schedule, dtype: Any) -> Array:
    return jnp.asarray(schedule.time, dtype) - jnp.asarray(schedule.burn_in, dtype)


class SteppedProcess(eqx.Module):
    """Euler-Maruyama: steps x <- x - h (A x - b) + noise, h <= dt dividing the time; memory O(n).

    Its mean after k steps is x* + (I - h A)^k (x(0) - x*), and it diverges for h > 2 / lambda_max.
    The key of step k is `fold_in(key, k)`.
    """

    operator: lx.AbstractLinearOperator
    dt: Any
    saturation: Any = None
    correlation_time: Any = 0.0

    def run(
        self, x: Vector | None, b: Vector, schedule: Schedule, key: PRNGKeyArray | None
    ) -> tuple[Vector, Vector]:
        x = b if x is None else x
        steps, h, start = self._steps(schedule, x.dtype)
        product, noise = flat_product(self.operator), self._noise(schedule, h, key)

        def step(i: Array, carry: tuple) -> tuple:
            x, force, total = carry
            kick, force = noise.kick(i, x, force)
            new = clipped(x + h * (b - product(x)) + kick, self.saturation)
            if schedule.average:
                inside = (i + 1).astype(x.dtype) > start
                total = total + jnp.where(inside, (x + new) / 2, 0)
            return new, force, total

        total = jnp.zeros_like(x if schedule.average else x[:0])
        carry = x, noise.start(x), total
        end, _, total = jax.lax.fori_loop(0, steps, step, carry)
        if not schedule.average:
            return end, end
        counted = steps - _skipped(steps, start)
        return jnp.where(counted > 0, total / jnp.maximum(counted, 1).astype(x.dtype), end), end

    def variance(self, values: Array, schedule: Schedule) -> Array:
        """That of what is read, at unit temperature and with white noise, of the scheme."""
        steps, h, start = self._steps(schedule, values.dtype)
        if not schedule.average:
            return scheme_variance(values, h, steps, 0)
        skipped = _skipped(steps, start)
        return scheme_variance(values, h, skipped, steps - skipped)

    def products(self, spent: Array, started: bool, noisy: bool, schedule: Schedule) -> Array:
        """One a step."""
        del started, noisy
        steps = num_steps(schedule.time, self.dt, self.dt.dtype)
        return spent + steps.astype(spent.dtype)

    def _steps(self, schedule: Schedule, dtype: Any) -> tuple[Array, Array, Array]:
        """Their number, their length, and the one with which the window begins."""
        steps = num_steps(schedule.time, self.dt, dtype)
        h = jnp.asarray(schedule.time, dtype) / jnp.maximum(steps, 1).astype(dtype)
        return steps, h, jnp.asarray(schedule.burn_in, dtype) / jnp.where(h > 0, h, 1)

    def _noise(self, schedule: Schedule, h: Array, key: PRNGKeyArray | None) -> "_Noise":
        correlation = self.correlation_time
        if key is None:
            return _Noise()
        temperature = jnp.asarray(schedule.temperature, h.dtype)
        if is_absent(correlation):
            return _White(key, jnp.sqrt(2 * temperature * h))
        correlation = jnp.asarray(correlation, h.dtype)
        return _Colored(key, h, jnp.exp(-h / correlation), jnp.sqrt(temperature / correlation))


def _skipped(steps: Array, start: Array) -> Array:
    return jnp.minimum(jnp.floor(start).astype(steps.dtype), steps)


class _Noise:
    """None. `kick` returns what step i adds to x, and the state of the noise after it."""

    def start(self, x: Vector) -> Array:
        return x[:0]

    def kick(self, i: Array, x: Vector, force: Array) -> tuple[Array, Array]:
        del i
        return jnp.zeros_like(x), force


class _White(_Noise):
    def __init__(self, key: PRNGKeyArray, size: Array):
        self.key, self.size = key, size

    def kick(self, i: Array, x: Vector, force: Array) -> tuple[Array, Array]:
        return self.size * _normal(jax.random.fold_in(self.key, i), x), force


class _Colored(_Noise):
    """A force of variance temperature / correlation time, from its equilibrium."""

    def __init__(self, key: PRNGKeyArray, h: Array, keep: Array, size: Array):
        self.first, self.key = jax.random.split(key)
        self.h, self.keep, self.size = h, keep, size

    def start(self, x: Vector) -> Array:
        return self.size * _normal(self.first, x)

    def kick(self, i: Array, x: Vector, force: Array) -> tuple[Array, Array]:
        fresh = self.size * _normal(jax.random.fold_in(self.key, i), x)
        return self.h * force, self.keep * force + jnp.sqrt(1 - self.keep**2) * fresh


def num_steps(time: Any, dt: Any, dtype: Any) -> Array:
    """The fewest steps of at most dt; none for a time of zero, else one for an infinite dt."""
    # A ratio that is a whole number but for rounding is this number.
    time = jnp.asarray(time, dtype)
    ratio = time / jnp.asarray(dt, dtype)
    steps = jnp.ceil(ratio * (1 - 8 * float(jnp.finfo(dtype).eps))).astype(jnp.int32)
    return jnp.maximum(steps, (time > 0).astype(jnp.int32))


def _normal(key: PRNGKeyArray, like: Vector) -> Vector:
    return jax.random.normal(key, like.shape, like.dtype)


def _root(temperature: Any, like: Vector) -> Array:
    return jnp.sqrt(jnp.asarray(temperature, like.dtype))
