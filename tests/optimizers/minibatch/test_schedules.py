"""Learning rates by name."""

import jax
import pytest

from pinn_ngd import optimizers


def test_schedules_end_where_they_say():
    for name, end in (("constant", 1.0), ("cosine", 0.0), ("exponential", 0.01)):
        rate = optimizers.schedule(name, 0.5, 100)
        with jax.numpy_dtype_promotion("standard"):
            assert float(rate(100)) == pytest.approx(0.5 * end)
