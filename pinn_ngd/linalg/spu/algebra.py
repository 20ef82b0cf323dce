"""Linear algebra read off the statistics of the device, for its own sake.

The device dx = -A x dt + N(0, 2 T dt) of a positive definite A is simulated exactly. Every function
is a Monte-Carlo estimator: its error falls with the square root of the number of read-outs, whereas
a digital factorization has none. Read-outs `spacing` apart are independent where spacing is several
times 1 / lambda_min, and `burn_in` removes the start x = 0; both in the units of `SPU`.

Aifer et al., Thermodynamic Linear Algebra, arXiv:2308.05660; Duffield et al., Thermodynamic Matrix
Exponentials and Thermodynamic Parallelism, arXiv:2311.12759.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from ..spectral import is_zero
from .checks import check_definite, check_tagged
from .filters import end_variance
from .processes import Schedule, SpectralProcess
from .spectra import DenseSpectrum, spectrum_of

BATCHES = 20


class Estimate(NamedTuple):
    """A value and its standard error, entry by entry, from 20 batches of consecutive read-outs."""

    value: Array
    standard_error: Array


def gaussian_samples(
    operator: lx.AbstractLinearOperator,
    key: PRNGKeyArray,
    *,
    samples: int,
    spacing: float,
    burn_in: float = 0.0,
    temperature: float = 1.0,
    b: Float[Array, " n"] | None = None,
) -> Float[Array, "samples n"]:
    """Read-outs of one device, (samples, n): in equilibrium N(A^-1 b, temperature A^-1).

    The operator acts on flat vectors in the order of its leaves. Raises ValueError for a
    temperature that is not positive: without noise there is nothing to sample.
    """
    process = _process(operator, temperature, samples)
    start = jnp.zeros(operator.in_size())
    b = start if b is None else b
    first, key = jax.random.split(key)
    x, _ = process.run(start, b, Schedule(burn_in, 0.0, temperature, False), first)

    def step(x: Array, key: Array) -> tuple[Array, Array]:
        x, _ = process.run(x, b, Schedule(spacing, 0.0, temperature, False), key)
        return x, x

    return jax.lax.scan(step, x, jax.random.split(key, samples))[1]


def inverse(
    operator: lx.AbstractLinearOperator,
    key: PRNGKeyArray,
    *,
    samples: int,
    spacing: float,
    burn_in: float = 0.0,
    temperature: float = 1.0,
) -> Estimate:
    """A^-1 (n, n) as the second moments of x / sqrt(temperature) in equilibrium."""
    common = {"samples": samples, "spacing": spacing, "burn_in": burn_in}
    x = gaussian_samples(operator, key, temperature=temperature, **common)
    return _moments(x / jnp.sqrt(jnp.asarray(temperature, x.dtype)), x.shape[1])


def lyapunov(
    operator: lx.AbstractLinearOperator,
    noise: Float[Array, "n n"],
    key: PRNGKeyArray,
    *,
    samples: int,
    spacing: float,
    burn_in: float = 0.0,
) -> Estimate:
    """X (n, n) with A X + X A = Q: the covariance of dx = -A x dt + N(0, Q dt).

    `noise` is Q, symmetric positive definite: noise sources that are correlated between the cells.
    """
    _check_samples(samples)
    a, v = jnp.linalg.eigh(operator.as_matrix())
    check_tagged(operator)
    a, _ = check_definite(operator, (a, jnp.ones_like(a)))
    rates = a[:, None] + a[None, :]
    rotated = v.T @ noise @ v

    def root(time: float) -> Array:
        return jnp.linalg.cholesky(rotated * end_variance(rates / 2, time) / 2)

    first, key = jax.random.split(key)
    start = jnp.zeros_like(a)
    if burn_in > 0:
        start = root(burn_in) @ jax.random.normal(first, a.shape, a.dtype)
    decay, size = jnp.exp(-a * spacing), root(spacing)

    def step(y: Array, key: Array) -> tuple[Array, Array]:
        y = decay * y + size @ jax.random.normal(key, y.shape, y.dtype)
        return y, y

    modes = jax.lax.scan(step, start, jax.random.split(key, samples))[1]
    return _moments(modes @ v.T, a.size)


def log_determinant(
    operator: lx.AbstractLinearOperator,
    key: PRNGKeyArray,
    *,
    samples: int,
    spacing: float,
    burn_in: float = 0.0,
    nodes: int = 12,
) -> Estimate:
    """log det A by thermodynamic integration from c I, c = trace(A) / n, to A.

    log det A - n log c = int_0^1 trace(A_s^-1 (A - c I)) ds with A_s = (1 - s) c I + s A, and the
    trace is the mean of x.(A - c I) x on the device A_s at temperature 1. The integral is taken
    by Gauss-Legendre with `nodes` devices of `samples` read-outs each: a systematic error, which
    is below 1e-6 n for condition numbers up to 50 with 12 nodes, beside the standard error.
    """
    matrix = operator.as_matrix()
    n = matrix.shape[0]
    level = jnp.trace(matrix) / n
    change = matrix - level * jnp.eye(n, dtype=matrix.dtype)
    s, weights = np.polynomial.legendre.leggauss(nodes)
    common = {"samples": samples, "spacing": spacing, "burn_in": burn_in}

    def integrand(s: Array, key: Array) -> tuple[Array, Array]:
        between = level * jnp.eye(n, dtype=matrix.dtype) + s * change
        device = lx.MatrixLinearOperator(between, lx.positive_semidefinite_tag)
        x = gaussian_samples(device, key, **common)
        return _mean(jnp.sum(x * (x @ change), axis=1))

    points = jnp.asarray((s + 1) / 2, matrix.dtype)
    values, errors = jax.lax.map(lambda a: integrand(*a), (points, jax.random.split(key, nodes)))
    shares = jnp.asarray(weights / 2, matrix.dtype)
    value = n * jnp.log(level) + shares @ values
    return Estimate(value, jnp.sqrt(shares**2 @ errors**2))


def matrix_exponential(
    operator: lx.AbstractLinearOperator,
    time: float,
    key: PRNGKeyArray,
    *,
    samples: int,
    temperature: float = 1.0,
) -> Estimate:
    """exp(-A time) (n, n): column j is the mean of x(time) from x(0) = e_j.

    All columns can be read in parallel from equal devices. Without noise one read-out would do, so
    temperature 0 is allowed: the standard error is then zero.
    """
    _check_samples(samples)
    check_tagged(operator)
    process = SpectralProcess(spectrum_of(operator), operator)
    n = operator.in_size()
    schedule = Schedule(time, 0.0, temperature, False)

    def column(start: Array, key: Array) -> Array:
        noise = None if is_zero(temperature) else key
        return process.run(start, jnp.zeros_like(start), schedule, noise)[1]

    keys = jax.random.split(key, (samples, n))
    runs = jax.vmap(jax.vmap(column, out_axes=1), (None, 0))(jnp.eye(n), keys)
    return _mean(runs)


def _process(
    operator: lx.AbstractLinearOperator, temperature: float, samples: int
) -> SpectralProcess:
    check_tagged(operator)
    _check_samples(samples)
    if not isinstance(temperature, Tracer) and not temperature > 0:
        msg = (
            f"`temperature` is {temperature}, but what is read is the noise: pass a positive"
            " temperature."
        )
        raise ValueError(msg)
    spectrum = spectrum_of(operator)
    values, _ = check_definite(operator, spectrum.measure())
    if isinstance(spectrum, DenseSpectrum):
        spectrum = DenseSpectrum(values, spectrum.vectors)
    return SpectralProcess(spectrum, operator)


def _moments(x: Float[Array, "samples n"], n: int) -> Estimate:
    """Means of x x^T, a batch at a time, so that no samples x n x n array exists."""
    size = x.shape[0] // BATCHES
    batches = x[: size * BATCHES].reshape(BATCHES, size, n)
    return _spread(jax.lax.map(lambda part: part.T @ part / size, batches))


def _mean(x: Array) -> Estimate:
    size = x.shape[0] // BATCHES
    return _spread(x[: size * BATCHES].reshape(BATCHES, size, *x.shape[1:]).mean(1))


def _spread(batches: Array) -> Estimate:
    return Estimate(batches.mean(0), batches.std(0, ddof=1) / BATCHES**0.5)


def _check_samples(samples: int) -> None:
    if samples < BATCHES:
        msg = f"`samples` is {samples}; pass at least {BATCHES}, one for each batch."
        raise ValueError(msg)
