"""The worth of a direction, and what arrays that err do to it."""

import numpy as np
import pytest

from pinn_ngd import load_problem
from pinn_ngd.studies.device_damping import DESCENT, settled, worth, worth_by_damping

RNG = np.random.default_rng(0)
ROWS, GRADIENT = RNG.normal(size=(5, 12)), RNG.normal(size=12)


def test_settled_voltages_solve_the_unsymmetric_system():
    back = ROWS + 0.1 * RNG.normal(size=ROWS.shape)
    x = settled(ROWS, back, GRADIENT, 0.3)
    np.testing.assert_allclose(back.T @ (ROWS @ x) + 0.3 * x, GRADIENT, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_worth_is_the_share_of_the_best_reduction(damping):
    matrix = ROWS.T @ ROWS + damping * np.eye(12)
    best = settled(ROWS, ROWS, GRADIENT, damping)
    assert worth(ROWS, GRADIENT, damping, 7.0 * best) == pytest.approx(1.0, rel=1e-10)
    assert worth(ROWS, GRADIENT, damping, -best) == 0.0
    size = GRADIENT @ GRADIENT / (GRADIENT @ matrix @ GRADIENT)
    step = size * GRADIENT
    reduction = GRADIENT @ step - step @ matrix @ step / 2
    expected = reduction / (GRADIENT @ best / 2)
    assert worth(ROWS, GRADIENT, damping, GRADIENT) == pytest.approx(expected, rel=1e-10)


def test_finer_arrays_and_more_damping_are_worth_more():
    problem = load_problem("classify-digits", width=6, batch_size=16)
    dampings = [1e-2, 1.0, 100.0]
    bits, mismatch, facts = worth_by_damping(problem, dampings, (2, 16), (1e-4, 3.0), steps=5)
    assert 0 < facts["nonzero share at 2 bits"] < facts["nonzero share at 16 bits"] <= 1
    assert bits["16 bits"][0] > 0.999 > bits["2 bits"][0]
    assert mismatch["mismatch 0.0001"][0] > 0.999
    assert not mismatch["mismatch 3"][0] > 0.5  # divergent (not a number) or bad
    for curves in (bits, mismatch):
        assert curves[DESCENT][2] > 0.99  # so much damping makes every direction the gradient
