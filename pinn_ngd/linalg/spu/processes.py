"""Simulations of dx = -(A x - b) dt + N(0, 2 temperature dt) on flat vectors.

A process answers `run(x, b, schedule, key)` with what is read and the state at the end.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PRNGKeyArray

from .device import Device, is_absent
from .filters import end_variance, joint_factor, mean_settled, settled
from .spectra import DenseSpectrum, KrylovSpectrum, LowRankSpectrum, flat_product

Vector = Inexact[Array, " n"]


class Schedule(NamedTuple):
    """How long, how hot, and what is read: x(time), or its mean over (burn_in, time)."""

    time: Any
    burn_in: Any
    temperature: Any
    average: bool


class SpectralProcess(eqx.Module):
    """The exact law at any time, with filters of the spectrum instead of time steps.

    With r = b - A x(0) the mean is x(0) + settled(A) r: nothing cancels, x(0) is returned exactly
    at time zero, and rounding errors of x(0) are corrected as by iterative refinement.
    """

    spectrum: DenseSpectrum | LowRankSpectrum | KrylovSpectrum
    operator: lx.AbstractLinearOperator

    def run(
        self, x: Vector, b: Vector, schedule: Schedule, key: PRNGKeyArray | None
    ) -> tuple[Vector, Vector]:
        keys = None if key is None else jax.random.split(key)
        if not schedule.average:
            end = self._evolve(x, b, schedule.time, schedule, key)
            return end, end
        x = self._evolve(x, b, schedule.burn_in, schedule, None if keys is None else keys[0])
        return self._watch(x, b, schedule, None if keys is None else keys[1])

    def _evolve(
        self, x: Vector, b: Vector, time: Any, schedule: Schedule, key: PRNGKeyArray | None
    ) -> Vector:
        residual = b - flat_product(self.operator)(x)
        (change,) = self.spectrum.apply([lambda a: settled(a, time)], residual)
        if key is None:
            return x + change
        (noise,) = self.spectrum.apply([lambda a: jnp.sqrt(end_variance(a, time))], _normal(key, x))
        return x + change + _root(schedule.temperature, x) * noise

    def _watch(
        self, x: Vector, b: Vector, schedule: Schedule, key: PRNGKeyArray | None
    ) -> tuple[Vector, Vector]:
        """Average over the window and state at its end, with their joint law."""
        window = jnp.asarray(schedule.time, x.dtype) - jnp.asarray(schedule.burn_in, x.dtype)
        residual = b - flat_product(self.operator)(x)
        filters = [lambda a: mean_settled(a, window), lambda a: settled(a, window)]
        average, end = self.spectrum.apply(filters, residual)
        if key is None:
            return x + average, x + end
        first, second = (_normal(k, x) for k in jax.random.split(key))
        factor = [lambda a, i=i: joint_factor(a, window)[i] for i in range(3)]
        noise, shared = self.spectrum.apply(factor[:2], first)
        (own,) = self.spectrum.apply(factor[2:], second)
        scale = _root(schedule.temperature, x)
        return x + average + scale * (shared + own), x + end + scale * noise


class EulerMaruyama(eqx.Module):
    """Steps x <- x - h (A x - b) + noise, h <= dt dividing the time; memory O(n).

    Its mean after k steps is x* + (I - h A)^k (x(0) - x*), and it diverges for h > 2 / lambda_max.
    The key of step k is `fold_in(key, k)`.
    """

    operator: lx.AbstractLinearOperator
    device: Device
    dt: Any

    def run(
        self, x: Vector, b: Vector, schedule: Schedule, key: PRNGKeyArray | None
    ) -> tuple[Vector, Vector]:
        steps = num_steps(schedule.time, self.dt, x.dtype)
        h = jnp.asarray(schedule.time, x.dtype) / jnp.maximum(steps, 1).astype(x.dtype)
        start = jnp.asarray(schedule.burn_in, x.dtype) / jnp.where(h > 0, h, 1)
        product, noise = flat_product(self.operator), self._noise(schedule, h, key)

        def step(i: Array, carry: tuple) -> tuple:
            x, force, total = carry
            kick, force = noise.kick(i, x, force)
            new = self.device.clip(x + h * (b - product(x)) + kick)
            if schedule.average:
                inside = (i + 1).astype(x.dtype) > start
                total = total + jnp.where(inside, (x + new) / 2, 0)
            return new, force, total

        total = jnp.zeros_like(x if schedule.average else x[:0])
        carry = x, noise.start(x), total
        end, _, total = jax.lax.fori_loop(0, steps, step, carry)
        if not schedule.average:
            return end, end
        counted = steps - jnp.minimum(jnp.floor(start).astype(steps.dtype), steps)
        return jnp.where(counted > 0, total / jnp.maximum(counted, 1).astype(x.dtype), end), end

    def _noise(self, schedule: Schedule, h: Array, key: PRNGKeyArray | None) -> "_Noise":
        correlation = self.device.correlation_time
        if key is None:
            return _Noise()
        temperature = jnp.asarray(schedule.temperature, h.dtype)
        if is_absent(correlation):
            return _White(key, jnp.sqrt(2 * temperature * h))
        correlation = jnp.asarray(correlation, h.dtype)
        return _Colored(key, h, jnp.exp(-h / correlation), jnp.sqrt(temperature / correlation))


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
    """The fewest steps of at most dt; none for a time of zero."""
    # A ratio that is a whole number but for rounding is this number.
    ratio = jnp.asarray(time, dtype) / jnp.asarray(dt, dtype)
    return jnp.ceil(ratio * (1 - 8 * float(jnp.finfo(dtype).eps))).astype(jnp.int32)


def _normal(key: PRNGKeyArray, like: Vector) -> Vector:
    return jax.random.normal(key, like.shape, like.dtype)


def _root(temperature: Any, like: Vector) -> Array:
    return jnp.sqrt(jnp.asarray(temperature, like.dtype))
