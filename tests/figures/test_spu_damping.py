"""The worth of a direction, and what arrays that err do to it."""

import numpy as np
import pytest

from figures.spu_damping import (
    APART_ERRING,
    APART_ROUNDED,
    DESCENT,
    WHOLE_ERRING,
    WHOLE_ROUNDED,
    settled,
    weighed,
    worth,
    worth_by_damping,
)
from pinn_ngd import load_problem

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


@pytest.mark.slow
def test_finer_arrays_and_more_damping_are_worth_more():
    problem = load_problem("classify-digits", width=6, batch_size=16)
    dampings = [1e-2, 1.0, 100.0]
    found, facts = worth_by_damping(problem, dampings, (2, 4, 16), (1e-4, 3.0), steps=5)
    apart, whole = found[APART_ROUNDED], found[WHOLE_ROUNDED]
    for array in "JA":
        shares = [facts[f"nonzero share of {array} at {n} bits"] for n in (2, 16)]
        assert 0 < shares[0] < shares[1] <= 1
    assert whole["16 bits"][0] > 0.999 > whole["2 bits"][0]
    assert apart["16 bits"][0] > 0.999
    for title in (APART_ERRING, WHOLE_ERRING):
        assert found[title]["mismatch 0.0001"][0] > 0.999
        assert not found[title]["mismatch 3"][0] > 0.5  # divergent (not a number) or bad
    for curves in found.values():
        assert curves[DESCENT][2] > 0.99  # so much damping makes every direction the gradient
    lowest = facts["lowest eigenvalue at 4 bits"]
    assert lowest < 0
    finite = [np.isfinite(worth) for worth in apart["4 bits"]]
    assert finite == [lowest + damping > 0 for damping in dampings]


def test_perfect_arrays_apart_are_the_rows():
    blocks = RNG.normal(size=(5, 3, 3))
    jacobian = RNG.normal(size=(15, 12))
    rows = np.concatenate(
        [b.T @ j for b, j in zip(blocks, jacobian.reshape(5, 3, 12), strict=True)]
    )
    forth = weighed(blocks @ blocks.swapaxes(1, 2), jacobian)
    np.testing.assert_allclose(jacobian.T @ forth, rows.T @ rows, atol=1e-12)
