"""What an Ornstein-Uhlenbeck process does to one eigenvalue a >= 0 of its drift, for any time t.

All functions are finite at a = 0 and free of cancellation there: differences of exponentials are
`expm1`, and what remains are power series.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Inexact, Int, Real

Eigenvalues = Inexact[Array, "*modes"]
Time = Real[ArrayLike, ""]


def decay_mean(z: Eigenvalues) -> Eigenvalues:
    """(1 - exp(-z)) / z, one at z = 0: the mean of exp(-s) over 0 < s < z."""
    safe = jnp.where(z == 0, 1, z)
    return jnp.where(z == 0, 1, -jnp.expm1(-safe) / safe)


def settled(a: Eigenvalues, t: Time) -> Eigenvalues:
    """(1 - exp(-a t)) / a: the share of the inverse 1/a that a noiseless device reaches."""
    t = jnp.asarray(t, a.dtype)
    return t * decay_mean(a * t)


def mean_settled(a: Eigenvalues, t: Time) -> Eigenvalues:
    """The mean of `settled(a, s)` over 0 < s < t."""
    t = jnp.asarray(t, a.dtype)
    z = a * t
    large = jnp.maximum(z, 0.5)
    series = _series([(-1) ** k / math.factorial(k + 2) for k in range(14)], jnp.minimum(z, 0.5))
    return t * jnp.where(z < 0.5, series, (1 - decay_mean(large)) / large)


def end_variance(a: Eigenvalues, t: Time) -> Eigenvalues:
    """(1 - exp(-2 a t)) / a: the variance at time t at unit temperature, from a known start."""
    return settled(a, 2 * jnp.asarray(t, a.dtype))


def joint_factor(a: Eigenvalues, t: Time) -> tuple[Eigenvalues, Eigenvalues, Eigenvalues]:
    """(p, q, r) with end = p z1 and time average = q z1 + r z2 for independent normal z1, z2.

    The Cholesky factor of the joint covariance of x(t) and of the mean of x over (0, t), from a
    known start at unit temperature. With z = a t and m = `decay_mean` the covariance is
    2 t [[m(2z), m(z)^2 / 2], [., (1 - 2 m(z) + m(2z)) / z^2]].
    """
    t = jnp.asarray(t, a.dtype)
    z = a * t
    one, two = decay_mean(z), decay_mean(2 * z)
    end = jnp.sqrt(2 * t * two)
    shared = one**2 / 2 * jnp.sqrt(2 * t / two)
    own = jnp.sqrt(2 * t * (_average_variance(z) - one**4 / (4 * two)))
    return end, shared, own


def average_variance(a: Eigenvalues, t: Time) -> Eigenvalues:
    """The variance of the time average over (0, t) at unit temperature, from a known start."""
    t = jnp.asarray(t, a.dtype)
    return 2 * t * _average_variance(a * t)


def read_out_variance(a: Eigenvalues, t: Time, burn_in: Time, average: bool) -> Eigenvalues:
    """The variance of what is read at unit temperature: x(t), or its mean over (burn_in, t)."""
    if not average:
        return end_variance(a, t)
    window = jnp.asarray(t, a.dtype) - jnp.asarray(burn_in, a.dtype)
    inherited = end_variance(a, burn_in) * decay_mean(a * window) ** 2
    return inherited + average_variance(a, window)


def scheme_variance(
    a: Eigenvalues, h: Time, before: Int[ArrayLike, ""], within: Int[ArrayLike, ""]
) -> Eigenvalues:
    """The same of the Euler-Maruyama scheme of step h: after `before` steps, or of a mean after it.

    The deviation obeys e <- k e + sqrt(2 h) z, k = 1 - h a. Over a window of `within` > 0
    trapezoids a kick with m steps to go has the weight
    w_m = 1/2 + (1 + k) / 2 (1 + k + ... + k^(m-1)), and what was there at its beginning has
    w_m - 1/2 with m = `within`, both over `within`.
    """
    h = jnp.asarray(h, a.dtype)
    keep, one = 1 - h * a, jnp.ones_like(a)

    def decay(_: Any, carry: tuple) -> tuple:
        power, total = carry
        return power * keep, total + power**2

    _, start = jax.lax.fori_loop(0, before, decay, (one, jnp.zeros_like(a)))

    def weigh(_: Any, carry: tuple) -> tuple:
        power, weight, total = carry
        return power * keep, weight + (1 + keep) / 2 * power, total + weight**2

    _, weight, total = jax.lax.fori_loop(0, within, weigh, (one, one / 2, jnp.zeros_like(a)))
    count = jnp.maximum(jnp.asarray(within), 1).astype(a.dtype)
    mean = (start * (weight - 0.5) ** 2 + total) / count**2
    return 2 * h * jnp.where(jnp.asarray(within) > 0, mean, start)


def _average_variance(z: Eigenvalues) -> Eigenvalues:
    """(1 - 2 m(z) + m(2z)) / z^2, which is 1/3 at zero."""
    coefficients = [(-1) ** k * (2**k - 2) / math.factorial(k + 1) for k in range(2, 28)]
    series = _series(coefficients, jnp.minimum(z, 1))
    large = jnp.maximum(z, 1)
    direct = (1 - 2 * decay_mean(large) + decay_mean(2 * large)) / large**2
    return jnp.where(z < 1, series, direct)


def _series(coefficients: list[float], z: Eigenvalues) -> Eigenvalues:
    total = jnp.zeros_like(z)
    for c in reversed(coefficients):
        total = total * z + c
    return total
