"""What is read off the noise of a device comes closer with the square root of time."""

import pytest

from figures.spu_algebra import algebra_errors


@pytest.mark.slow
def test_errors_fall_with_the_square_root_of_the_samples():
    labels = ("solution", "exponential")
    found = algebra_errors((20, 320), 4, lambda _: None, size=6, condition=5.0, labels=labels)
    for label, (times, errors, low, high) in found.items():
        assert times[1] - times[0] == 300 * (1.0 if label == "solution" else 0.2)
        assert low[0] <= errors[0] <= high[0]
        assert 0.1 < errors[1] / errors[0] < 0.6, label  # a quarter, but for the few seeds
