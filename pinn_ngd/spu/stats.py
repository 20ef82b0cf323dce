"""What is known of a solve on the device without looking at its result."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact

from .processes import Vector, num_steps
from .read_out import Schedule
from .spectra import Measure


def law_stats(measure: Measure, schedule: Schedule, process: Any, dtype: Any) -> dict[str, Array]:
    """The entries of `SPU`'s `stats` that follow from spectrum, schedule and process."""
    values, weights = measure
    largest, smallest = jnp.max(values), jnp.maximum(jnp.min(values), 0)
    time, temperature = (jnp.asarray(x, dtype) for x in (schedule.time, schedule.temperature))
    values = jnp.maximum(values, 0)
    variances = process.variance(values, schedule)
    dt = getattr(process, "dt", None)
    singular = smallest == 0
    return {
        "time": time,
        "relaxation_time": 1 / smallest,
        "settled": -jnp.expm1(-time * smallest),
        "condition": jnp.where(singular, jnp.inf, largest / jnp.where(singular, 1, smallest)),
        "standard_error": jnp.sqrt(temperature * jnp.sum(weights * variances)),
        "dt_limit": dt_limit(measure),
        "num_steps": jnp.asarray(0) if dt is None else num_steps(time, dt, dtype),
    }


def is_bounded(
    start: Vector, b: Vector, end: Vector, time: Array, variance: Array
) -> Bool[Array, ""]:
    """Whether x(time) is finite, and no larger than ten times what a stable device can reach.

    Its mean is no longer than |x(0)| + time |b|, and `variance` is the most that noise adds.
    """
    largest = [jnp.max(jnp.abs(x), initial=0) for x in (start, b, end)]
    scale = jnp.maximum(jnp.maximum(largest[0], largest[1]), largest[2])
    scale = jnp.where(scale > 0, scale, 1)  # squares of very small or large numbers are lost
    norms = [jnp.linalg.norm(x / scale) for x in (start, b, end)]
    reach = norms[0] + time * norms[1] + jnp.sqrt(variance) / scale
    return jnp.isfinite(scale) & (norms[2] <= 10 * reach)


def dt_limit(measure: Measure) -> Inexact[Array, ""]:
    """The largest stable step of the Euler-Maruyama scheme, 2 / lambda_max."""
    largest = jnp.max(measure[0])
    return jnp.where(largest > 0, 2 / jnp.where(largest > 0, largest, 1), jnp.inf)
