import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import CG, QR, SVD, Cholesky, Fallback, Normal, get_solver, solver_names


@pytest.fixture
def singular(dense):
    """Cholesky of its normal equations breaks down."""
    return dense(jnp.asarray([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))


def _run(operator, solver, vector):
    return lx.linear_solve(operator, vector, solver, throw=False)


def test_fallback_is_used_and_reported(singular, dense):
    solver = Fallback(Normal(Cholesky()), SVD())
    solution = _run(singular, solver, jnp.ones(3))
    assert solution.stats["fallback"]
    assert solution.result == lx.RESULTS.successful
    np.testing.assert_allclose(solution.value, 0.5, rtol=1e-12)
    regular = _run(dense(jnp.eye(3)[:, :2]), solver, jnp.ones(3))
    assert not regular.stats["fallback"]
    np.testing.assert_allclose(regular.value, 1.0)


def test_fallback_on_an_unsuccessful_result(dense, conditioned):
    operator = dense(jnp.asarray(conditioned(8, 6, np.linspace(1, 0.1, 6))))
    target = jnp.arange(8.0)
    hurried = Normal(CG(rtol=1e-12, atol=1e-12, max_steps=1))
    assert _run(operator, hurried, target).result == lx.RESULTS.max_steps_reached
    solution = _run(operator, Fallback(hurried, QR()), target)
    assert solution.stats["fallback"]
    assert solution.stats["num_steps"] == 1
    assert solution.result == lx.RESULTS.successful
    np.testing.assert_allclose(solution.value, _run(operator, QR(), target).value, rtol=1e-12)


def test_both_failing_reports_the_secondary_result(singular):
    hurried = Normal(CG(rtol=1e-12, atol=1e-12, max_steps=0))
    solution = _run(singular, Fallback(hurried, hurried), jnp.ones(3))
    assert solution.stats["fallback"]
    assert solution.result == lx.RESULTS.max_steps_reached


def test_fallback_under_vmap_decides_for_each(dense, singular):
    solver = Fallback(Normal(Cholesky()), SVD())
    matrices = jnp.stack([singular.matrix, jnp.eye(3)[:, :2]])
    solution = jax.vmap(lambda m: _run(dense(m), solver, jnp.ones(3)))(matrices)
    np.testing.assert_array_equal(solution.stats["fallback"], [True, False])
    np.testing.assert_allclose(solution.value, [[0.5, 0.5], [1.0, 1.0]], rtol=1e-12)


def test_fallback_differentiates_and_transposes(dense):
    matrix = jnp.asarray([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    solver = Fallback(Normal(Cholesky()), SVD())
    jacobian = jax.jacrev(lambda b: _run(dense(matrix), solver, b).value)(jnp.ones(3))
    np.testing.assert_allclose(jacobian, np.linalg.pinv(matrix), atol=1e-12)
    assert not solver.assume_full_rank()
    assert Fallback(QR(), QR()).assume_full_rank()
    state = solver.init(dense(matrix), {})
    conjugated, _ = solver.conj(state, {})
    np.testing.assert_allclose(conjugated[1].as_matrix(), matrix)


def test_registry():
    names = solver_names()
    assert {
        "spectral",
        "spectral-gram",
        "spectral-qr",
        "qr",
        "svd",
        "cholesky",
        "cg",
        "lsmr",
        "spu",
    } == set(names)
    for name, description in names.items():
        assert isinstance(get_solver(name), lx.AbstractLinearSolver)
        assert description
        assert "\n" not in description
    with pytest.raises(ValueError, match=r"`name` is 'lu'; choose one of 'spectral', .*'lsmr'"):
        get_solver("lu")
