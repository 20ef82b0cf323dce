"""Timers: how often they call, and what they count."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from figures.recipes.timing import measured, median_ms, seconds_of


def test_the_first_call_is_not_counted():
    calls = []

    def call():
        calls.append(None)
        time.sleep(0.05 if len(calls) == 1 else 0.0)

    assert len(seconds_of(call, 4)) == 4
    assert len(calls) == 5
    assert median_ms(call, 3) < 25


def test_short_calls_are_repeated_until_they_took_some_time():
    assert len(seconds_of(lambda: time.sleep(0.01), 1, at_least=0.05)) in (3, 4, 5)
    assert len(seconds_of(lambda: None, 1, at_least=100.0, most=7)) == 7


def test_a_compiled_function_is_measured_with_its_memory_and_value():
    @eqx.filter_jit
    def square(x):
        return {"square": x @ x, "name": "a"}

    x = jax.random.normal(jax.random.key(0), (16, 16))
    seconds, memory, value = measured(lambda x: square(x), x, repeats=2)
    assert seconds > 0
    assert memory >= 16 * 16 * 8 / 2**20
    assert value["square"] == pytest.approx(x @ x)
    assert jnp.all(jnp.isfinite(value["square"]))
