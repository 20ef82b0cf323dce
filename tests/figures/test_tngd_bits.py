"""Trainings on devices that lack something."""

import pytest

from figures.tngd_bits import errors_by_device
from pinn_ngd import load_problem


@pytest.mark.slow
def test_a_fine_device_learns_like_a_perfect_one_and_a_hopeless_one_fails():
    problem = load_problem("classify-digits", channels=2, width=6, batch_size=16)
    told = []
    devices = {0.0: {}, 16.0: {"bits": 16}, 1.0: {"rate": 1e30}}
    levels, median, low, high = errors_by_device(problem, devices, [0, 1], 25, told.append)
    assert levels == [0.0, 16.0, 1.0]
    assert abs(median[0] - median[1]) < 0.03
    assert all(a <= b <= c for a, b, c in zip(low, median, high, strict=True))
    assert median[2] > 0.5
    assert len(told) == 3
