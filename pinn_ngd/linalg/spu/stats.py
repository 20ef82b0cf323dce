"""What is known of a solve on the device without looking at its result."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .filters import read_out_variance
from .processes import Schedule, num_steps
from .spectra import Measure


def law_stats(measure: Measure, schedule: Schedule, dt: Any, dtype: Any) -> dict[str, Array]:
    """The entries of `SPU`'s `stats` that follow from spectrum, schedule and step (None: none)."""
    values, weights = measure
    largest, smallest = jnp.max(values), jnp.maximum(jnp.min(values), 0)
    time, temperature = (jnp.asarray(x, dtype) for x in (schedule.time, schedule.temperature))
    values = jnp.maximum(values, 0)
    variances = read_out_variance(values, time, schedule.burn_in, schedule.average)
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


def dt_limit(measure: Measure) -> Inexact[Array, ""]:
    """The largest stable step of the Euler-Maruyama scheme, 2 / lambda_max."""
    largest = jnp.max(measure[0])
    return jnp.where(largest > 0, 2 / jnp.where(largest > 0, largest, 1), jnp.inf)
