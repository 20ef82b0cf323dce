"""How long compiled functions take: the timers of recipes and benchmarks."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np


def seconds_of(
    call: Callable[[], Any],
    repeats: int = 3,
    *,
    at_least: float = 0.0,
    most: int = 50,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each of several calls, after one that compiles, by a clock.

    So many `repeats`, and more until they took `at_least` so many seconds together or there are
    `most`. A call has ended when all its arrays are there. With `time.process_time` as the clock
    it is the processor that is counted, which other programs do not lengthen.
    """
    jax.block_until_ready(call())
    times: list[float] = []
    while len(times) < repeats or (sum(times) < at_least and len(times) < most):
        begun = clock()
        jax.block_until_ready(call())
        times.append(clock() - begun)
    return times


def median_ms(call: Callable[[], Any], repeats: int = 3, **limits: Any) -> float:
    """The median of `seconds_of`, in milliseconds."""
    return 1e3 * float(np.median(seconds_of(call, repeats, **limits)))


class Measured(NamedTuple):
    """Median seconds of a compiled function, the MiB that XLA reserves for it, and its value."""

    seconds: float
    memory: float
    value: Any


def measured(
    function: Callable[..., Any], *arguments: Any, repeats: int, **limits: Any
) -> Measured:
    """What `function(*arguments)`, compiled as a whole, costs, and what it returns.

    `limits` are those of `seconds_of`.
    """
    compiled = eqx.filter_jit(function).lower(*arguments).compile()
    times = seconds_of(lambda: compiled(*arguments), repeats, **limits)
    analysis = compiled.compiled.memory_analysis()
    memory = (analysis.temp_size_in_bytes + analysis.output_size_in_bytes) / 2**20
    return Measured(float(np.median(times)), memory, compiled(*arguments))
