"""Truncated conjugate gradients against NumPy: values, stops, kept iterates, negative curvature."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import Truncated
from pinn_ngd.linalg.conjugate_gradients import marks

N = 30
B = np.random.default_rng(1).normal(size=N)


def matrix_of(values):
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))[0]
    return (basis * values) @ basis.T


WELL = matrix_of(np.linspace(1.0, 3.0, N))
ILL = matrix_of(np.logspace(-2, 0, N))


def descended(matrix, start=None, **settings):
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix))
    start = None if start is None else jnp.asarray(start)
    return jax.jit(lambda b: Truncated(**settings)(operator, b, start=start))(jnp.asarray(B))


def iterates(matrix, count, start=None):
    """The least points of phi in growing Krylov spaces, from its definition."""
    x0 = np.zeros(N) if start is None else start
    r, found = B - matrix @ x0, []
    basis = np.zeros((N, 0))
    for i in range(count):
        v = r if i == 0 else matrix @ basis[:, -1]
        for _ in range(2):
            v = v - basis @ (basis.T @ v)
        basis = np.column_stack([basis, v / np.linalg.norm(v)])
        inner = np.linalg.solve(basis.T @ matrix @ basis, basis.T @ r)
        found.append(x0 + basis @ inner)
    return np.array(found)


@pytest.mark.parametrize("with_start", [False, True])
def test_every_kept_iterate_is_the_least_of_its_krylov_space(with_start):
    start = np.linspace(0, 1, N) if with_start else None
    found = descended(WELL, start, most=9, keep=True)
    expected = iterates(WELL, 9, start)
    numbers = marks(9)
    assert numbers == (1, 2, 3, 4, 5, 7, 9)
    np.testing.assert_allclose(found.kept, expected[np.array(numbers) - 1], atol=1e-12)
    np.testing.assert_allclose(found.value, expected[-1], atol=1e-12)
    assert (found.steps, found.count) == (9, 6)  # the last one is not before itself


def test_the_residual_ends_them():
    found = descended(WELL, most=100, tolerance=1e-6)
    errors = [np.linalg.norm(B - WELL @ x) for x in iterates(WELL, int(found.steps))]
    limit = 1e-6 * np.linalg.norm(B)
    assert errors[-1] <= limit < errors[-2]
    assert found.kept is None


def test_progress_ends_them_where_martens_says():
    found = descended(ILL, most=200, progress=2e-2)
    models = [0.0] + [0.5 * x @ ILL @ x - B @ x for x in iterates(ILL, 29)]

    def stalled(i):
        k = max(10, int(np.ceil(0.1 * i)))
        return i > k and models[i] < 0 and (models[i] - models[i - k]) / models[i] < k * 2e-2

    assert found.steps == next(i for i in range(30) if stalled(i))


def test_a_direction_of_negative_curvature_ends_them():
    saddle = WELL - 2.0 * np.eye(N)
    found = descended(saddle, most=50)
    assert found.indefinite
    x = np.asarray(found.value)
    assert B @ x > 0
    at_once = descended(-WELL, most=50)
    assert at_once.indefinite
    assert at_once.steps == 1
    np.testing.assert_array_equal(at_once.value, B)
    start = np.linspace(0, 1, N)
    np.testing.assert_array_equal(descended(-WELL, start, most=50).value, start)


def test_a_zero_right_hand_side_has_the_solution_zero():
    operator = lx.MatrixLinearOperator(jnp.asarray(WELL))
    found = Truncated(progress=5e-4, keep=True)(operator, jnp.zeros(N))
    assert found.steps == 0
    np.testing.assert_array_equal(found.value, 0)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="`most` is 0"):
        Truncated(most=0)
    with pytest.raises(ValueError, match="`progress` is -1"):
        Truncated(progress=-1.0)
