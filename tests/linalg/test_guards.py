"""Systems without rows or columns, and numbers that are none."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    CG,
    LSMR,
    QR,
    SVD,
    Fallback,
    LeastSquaresSystem,
    Normal,
    Spectral,
    get_solver,
    prepare,
    solve,
    solver_names,
)

NAMES = list(solver_names())


@eqx.filter_jit
def _run(operator, name, damping, **right):
    return solve(LeastSquaresSystem(operator, **right, damping=damping), get_solver(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_system_without_rows_has_the_least_solution(name, dense):
    operator = dense(jnp.zeros((0, 3)))
    found = _run(operator, name, 0.5, target=jnp.zeros(0))
    assert found.result == lx.RESULTS.successful
    np.testing.assert_array_equal(found.value, np.zeros(3))
    given = _run(operator, name, 0.5, gradient=jnp.arange(3.0))
    np.testing.assert_allclose(given.value, np.arange(3.0) / 0.5)
    kept = prepare(LeastSquaresSystem(operator, jnp.zeros(0), damping=0.5), get_solver(name))
    np.testing.assert_array_equal(kept.solve(damping=2.0).value, np.zeros(3))


@pytest.mark.parametrize("name", NAMES)
def test_a_system_without_columns_has_an_empty_solution(name, dense):
    operator = dense(jnp.zeros((3, 0)))
    for right in ({"target": jnp.ones(3)}, {"gradient": jnp.zeros(0)}):
        found = _run(operator, name, 0.0, **right)
        assert found.result == lx.RESULTS.successful
        assert found.value.shape == (0,)


def test_a_gradient_of_no_rows_needs_damping(dense):
    system = LeastSquaresSystem(dense(jnp.zeros((0, 3))), gradient=jnp.ones(3))
    with pytest.raises(ValueError, match="`damping` is 0"):
        solve(system, QR())


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_plain_lineax_with_solvers_of_ours(shape, dense):
    for solver in (Spectral(), Spectral("gram"), Fallback(QR(), SVD())):
        run = eqx.filter_jit(lambda o, b, s=solver: lx.linear_solve(o, b, s).value)
        found = run(dense(jnp.zeros(shape)), jnp.ones(shape[0]))
        np.testing.assert_array_equal(found, np.zeros(shape[1]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["target", "gradient", "matrix", "damping"])
def test_numbers_that_are_none_are_no_success(name, place, bad, dense):
    matrix, damping = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3))), jnp.asarray(0.1)
    right = {"gradient": jnp.ones(3)} if place == "gradient" else {"target": jnp.ones(4)}
    fine = _run(dense(matrix), name, damping, **right)
    assert fine.result == lx.RESULTS.successful
    if place == "matrix":
        matrix = matrix.at[1, 2].set(bad)
    elif place == "damping":
        damping = jnp.asarray(bad)
    else:
        right = {place: right[place].at[1].set(bad)}
    assert _run(dense(matrix), name, damping, **right).result != lx.RESULTS.successful


def test_every_member_of_a_batch_is_judged_for_itself(dense):
    targets = jnp.ones((2, 4)).at[1, 0].set(jnp.nan)
    operator = dense(jnp.asarray(np.random.default_rng(0).normal(size=(4, 3))))
    for name in ("cg", "spectral"):
        batch = jax.vmap(lambda b, n=name: _run(operator, n, 0.1, target=b))(targets)
        succeeded = batch.result == lx.RESULTS.successful
        assert succeeded.tolist() == [True, False]
        alone = _run(operator, name, 0.1, target=targets[0])
        np.testing.assert_allclose(batch.value[0], alone.value, rtol=1e-10)


def test_a_fallback_does_not_believe_cg_about_numbers_that_are_none(dense):
    solver = Fallback(Normal(CG(rtol=1e-8, atol=1e-8)), SVD())
    target = jnp.ones(4).at[0].set(jnp.nan)
    found = lx.linear_solve(dense(jnp.eye(4)[:, :3]), target, solver, throw=False)
    assert found.result != lx.RESULTS.successful
    assert found.stats["fallback"]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_lsmr_in_single_precision(shape, dense):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    target, tolerances = jnp.ones(shape[0], jnp.float32), {"rtol": 1e-6, "atol": 1e-6}
    expected = np.linalg.pinv(matrix.astype(float)) @ np.ones(shape[0])
    direct = lx.linear_solve(dense(jnp.asarray(matrix)), target, LSMR(**tolerances))
    system = LeastSquaresSystem(dense(jnp.asarray(matrix)), target)
    through = solve(system, lx.LSMR(**tolerances), form="primal")
    for found in (direct, through):
        assert found.value.dtype == jnp.float32
        assert found.result == lx.RESULTS.successful
        np.testing.assert_allclose(found.value, expected, rtol=1e-4)
    start = {"y0": jnp.asarray(expected, jnp.float32)}
    again = lx.linear_solve(dense(jnp.asarray(matrix)), target, LSMR(**tolerances), options=start)
    assert again.stats["num_steps"] < direct.stats["num_steps"]


def test_lsmr_in_single_precision_differentiates(dense):
    matrix = jnp.asarray([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]], jnp.float32)
    solver = LSMR(rtol=1e-6, atol=1e-6)

    def run(b):
        return lx.linear_solve(dense(matrix), b, solver).value

    jacobian = jax.jacrev(run)(jnp.ones(3, jnp.float32))
    np.testing.assert_allclose(jacobian, np.linalg.pinv(matrix), atol=1e-5)
