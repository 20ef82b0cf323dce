"""The SPU solver: what it solves, how it fits into Lineax, and what it refuses."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import Fallback, LeastSquaresSystem, Normal, gram, prepare, solve, takes_key
from pinn_ngd.linalg.capabilities import is_iterative, is_semidefinite
from pinn_ngd.linalg.system_solver import system_solver
from pinn_ngd.spu import SPU, Device, EulerMaruyama, Lanczos

EVERY = ("exact", "lanczos", "euler-maruyama", "diffrax")
PSD = lx.positive_semidefinite_tag


@pytest.fixture(scope="module")
def matrix():
    """Symmetric, eigenvalues from 0.05 to 5."""
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    return (q * np.geomspace(0.05, 5, 30)) @ q.T


@pytest.fixture(scope="module")
def b():
    return jnp.asarray(np.random.default_rng(1).normal(size=30))


@pytest.fixture(scope="module")
def operator(matrix):
    return lx.MatrixLinearOperator(jnp.asarray((matrix + matrix.T) / 2), PSD)


def _mean(matrix, b, start, time):
    solution = np.linalg.solve(matrix, b)
    return solution + scipy.linalg.expm(-matrix * time) @ (start - solution)


@pytest.mark.parametrize("simulation", EVERY)
def test_time_zero_returns_the_start_exactly(operator, b, simulation):
    if simulation == "diffrax":
        pytest.importorskip("diffrax")
    solver = SPU(time=0.0, simulation=simulation)
    np.testing.assert_array_equal(lx.linear_solve(operator, b, solver).value, b)
    elsewhere = lx.linear_solve(operator, b, solver, options={"y0": 2 * b}).value
    np.testing.assert_array_equal(elsewhere, 2 * b)


@pytest.mark.parametrize(
    ("simulation", "tolerance"),
    [("exact", 1e-12), ("lanczos", 1e-12), ("euler-maruyama", 1e-2), ("diffrax", 1e-7)],
)
def test_mean_at_any_time(operator, matrix, b, simulation, tolerance, relative_error):
    if simulation == "diffrax":
        pytest.importorskip("diffrax")
    for time in (0.3, 20.0):
        value = lx.linear_solve(operator, b, SPU(time=time, simulation=simulation)).value
        assert relative_error(value, _mean(matrix, b, b, time)) < tolerance


def test_the_error_is_the_analytic_filter(operator, matrix, b):
    values, vectors = np.linalg.eigh(matrix)
    solution, coefficients = np.linalg.solve(matrix, b), vectors.T @ b
    for time in (0.1, 1.0, 10.0, 100.0):
        error = lx.linear_solve(operator, b, SPU(time=time)).value - solution
        expected = vectors @ (np.exp(-values * time) * (coefficients - coefficients / values))
        np.testing.assert_allclose(error, expected, rtol=0, atol=1e-10)


def test_the_limit_is_the_solution(operator, matrix, b, relative_error):
    value = lx.linear_solve(operator, b, SPU(time=1e4)).value
    assert relative_error(value, np.linalg.solve(matrix, b)) < 1e-13


@pytest.mark.filterwarnings("ignore::pinn_ngd.spu.UnsettledWarning")
@pytest.mark.parametrize("damping", [0.0, 1e-6, 0.3])
def test_low_rank_is_the_dense_exponential(dense, damping, relative_error):
    rows = np.random.default_rng(2).normal(size=(8, 40))
    rows[7] = rows[6]  # an eigenvalue that is zero but for rounding
    b = jnp.asarray(np.random.default_rng(3).normal(size=40))
    values, vectors = np.linalg.eigh(rows.T @ rows)
    values = np.maximum(values, 0) + damping
    for time in (1e-3, 1.0, 30.0):
        safe = np.maximum(values, 1e-14)
        share = -np.expm1(-safe * time) / safe
        expected = b + vectors @ (share * (vectors.T @ b - values * (vectors.T @ b)))
        value = lx.linear_solve(gram(dense(jnp.asarray(rows)), damping), b, SPU(time=time)).value
        assert relative_error(value, expected) < 1e-12


def test_low_rank_forms_no_square_of_the_parameters(dense):
    operator = gram(dense(jnp.ones((3, 1000))), 0.1)
    run = jax.jit(lambda b: lx.linear_solve(operator, b, SPU(time=3.0)).value)
    memory = run.lower(jnp.ones(1000)).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 8 * 1000 * 20


def test_long_times_are_woodbury(dense, relative_error):
    rows = np.random.default_rng(2).normal(size=(8, 40))
    b = np.random.default_rng(3).normal(size=40)
    value = lx.linear_solve(gram(dense(jnp.asarray(rows)), 0.1), jnp.asarray(b), SPU(time=1e4))
    inside = np.linalg.solve(rows @ rows.T + 0.1 * np.eye(8), rows @ b)
    assert relative_error(value.value, (b - rows.T @ inside) / 0.1) < 1e-13


def test_forty_products_of_lanczos_at_twenty_time_constants(dense, relative_error):
    rng = np.random.default_rng(4)
    factor = np.linalg.qr(rng.normal(size=(600, 200)))[0] * np.sqrt(np.geomspace(1e-3, 10, 200))
    operator, b = gram(dense(jnp.asarray(factor.T)), 0.01), jnp.asarray(rng.normal(size=600))
    exact = lx.linear_solve(operator, b, SPU(time=20.0)).value
    krylov = lx.linear_solve(operator, b, SPU(time=20.0, simulation=Lanczos(40))).value
    fewer = lx.linear_solve(operator, b, SPU(time=20.0, simulation=Lanczos(10))).value
    assert relative_error(krylov, exact) < 1e-4 < relative_error(fewer, exact)


def test_lanczos_survives_an_exhausted_space(dense, relative_error):
    operator = gram(dense(jnp.asarray([[1.0, 2.0, 0.0, 0.0, 0.0]])), 0.5)
    b = jnp.asarray([1.0, 2.0, 3.0, 4.0, 5.0])
    exact = lx.linear_solve(operator, b, SPU(time=2.0)).value
    krylov = lx.linear_solve(operator, b, SPU(time=2.0, simulation="lanczos")).value
    assert relative_error(krylov, exact) < 1e-13


@pytest.mark.slow
def test_operators_on_pytrees_under_jit_and_vmap():
    def product(tree):
        return {"a": 2.0 * tree["a"], "b": jax.tree.map(lambda x: 3.0 * x, tree["b"])}

    b = {"a": jnp.ones((2, 3)), "b": (jnp.ones(()), jnp.ones(4))}
    operator = lx.FunctionLinearOperator(product, jax.eval_shape(lambda: b), PSD)
    for simulation in ("exact", "lanczos", "euler-maruyama"):
        solver = SPU(time=30.0, simulation=simulation)
        value = jax.jit(lambda x, s=solver: lx.linear_solve(operator, x, s).value)(b)
        np.testing.assert_allclose(value["a"], 1 / 2, rtol=1e-9)
        np.testing.assert_allclose(value["b"][1], 1 / 3, rtol=1e-9)
        many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), b)
        values = jax.vmap(lambda x, s=solver: lx.linear_solve(operator, x, s).value)(many)
        np.testing.assert_allclose(values["b"][0], [1 / 3, 2 / 3], rtol=1e-9)


def test_time_and_temperature_may_be_traced(operator, matrix, b, relative_error):
    def run(time, temperature):
        solver = SPU(time=time, temperature=temperature)
        return lx.linear_solve(operator, b, solver, options={"key": jax.random.key(0)}).value

    times = jnp.asarray([0.5, 20.0])
    values = jax.vmap(run)(times, jnp.zeros(2))
    for value, time in zip(values, times, strict=True):
        assert relative_error(value, _mean(matrix, b, b, float(time))) < 1e-12


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_least_squares_through_normal(dense, shape, relative_error):
    rows = np.random.default_rng(5).normal(size=shape)
    target = np.random.default_rng(6).normal(size=shape[0])
    solver = Normal(SPU(time=1e4))
    value = lx.linear_solve(dense(jnp.asarray(rows)), jnp.asarray(target), solver).value
    assert relative_error(value, np.linalg.pinv(rows) @ target) < 1e-9


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
@pytest.mark.parametrize("wrap", [lambda s: s, Normal])
def test_damped_systems(dense, shape, wrap, relative_error):
    rows = np.random.default_rng(5).normal(size=shape)
    target = np.random.default_rng(6).normal(size=shape[0])
    operator, square = dense(jnp.asarray(rows)), rows.T @ rows
    solver = wrap(SPU(time=2.0))
    system = LeastSquaresSystem(operator, jnp.asarray(target), damping=0.1)
    gradient = rows.T @ target
    for form in ("auto", "primal", "dual"):
        expected = _mean(square + 0.1 * np.eye(shape[1]), gradient, gradient, 2.0)
        assert relative_error(solve(system, solver, form=form).value, expected) < 1e-12
    again = prepare(system, solver).solve(damping=0.7, gradient=jnp.asarray(2 * gradient)).value
    expected = _mean(square + 0.7 * np.eye(shape[1]), 2 * gradient, 2 * gradient, 2.0)
    assert relative_error(again, expected) < 1e-12


def test_the_library_knows_its_kind(dense):
    for wrap in (lambda s: s, Normal):
        solver = wrap(SPU(time=1.0))
        assert isinstance(system_solver(solver), SPU)
        assert is_semidefinite(solver)
        assert takes_key(solver)
        assert not is_iterative(solver)  # it has the eigenvalues of a matrix
        assert is_iterative(wrap(SPU(time=1.0, simulation="lanczos")))
        euler = {"time": 1.0, "simulation": "euler-maruyama"}
        assert is_iterative(wrap(SPU(**euler, device=Device(input_bits=8))))
        assert not is_iterative(wrap(SPU(**euler, device=Device(bits=8))))
        assert not is_iterative(wrap(SPU(1.0, simulation=EulerMaruyama(mismatch=0.1))))
    other = Normal(lx.CG(rtol=1e-3, atol=1e-3))
    assert system_solver(other) is None
    assert not takes_key(other)
    assert takes_key(Fallback(SPU(1.0), lx.SVD()))
    system = LeastSquaresSystem(dense(jnp.ones((2, 3))), jnp.ones(2), damping=0.1)
    with pytest.raises(ValueError, match="`solver` SPU needs the matrix"):
        solve(system, SPU(time=1.0), form="matrix-free")


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_prepared_eigenvalues_serve_every_damping(dense, shape, monkeypatch):
    rows = np.random.default_rng(5).normal(size=shape)
    operator, target = dense(jnp.asarray(rows)), jnp.ones(shape[0])
    solver = SPU(time=2.0)
    kept = prepare(LeastSquaresSystem(operator, target, damping=0.1), solver)
    dampings = (0.0, 1e-3, 5.0)
    fresh = [solve(LeastSquaresSystem(operator, target, damping=d), solver) for d in dampings]
    monkeypatch.setattr(jnp.linalg, "eigh", None)  # nothing is decomposed again
    for damping, expected in zip(dampings, fresh, strict=True):
        found = kept.solve(damping=damping)
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-14)
        for name, value in expected.stats.items():
            np.testing.assert_allclose(found.stats[name], value, rtol=1e-14)


def test_state_carries_over(operator, b, relative_error):
    once = lx.linear_solve(operator, b, SPU(time=5.0))
    first = lx.linear_solve(operator, b, SPU(time=2.0))
    then = lx.linear_solve(operator, b, SPU(time=3.0), options={"y0": first.stats["state"]})
    assert relative_error(then.value, once.value) < 1e-14


@pytest.mark.parametrize("simulation", ["exact", "lanczos", "euler-maruyama"])
def test_stats(operator, b, simulation):
    key = {"key": jax.random.key(0)}
    stats = lx.linear_solve(
        operator, b, SPU(time=20.0, temperature=0.1, simulation=simulation), options=key
    ).stats
    rtol = 1e-10
    np.testing.assert_allclose(stats["relaxation_time"], 20.0, rtol=rtol)
    np.testing.assert_allclose(stats["condition"], 100.0, rtol=rtol)
    np.testing.assert_allclose(stats["settled"], 1 - np.exp(-1), rtol=rtol)
    values = np.geomspace(0.05, 5, 30)
    variances = (1 - np.exp(-40 * values)) / values
    if simulation == "euler-maruyama":  # of 500 steps of a tenth of the limit
        variances = (1 - (1 - 0.04 * values) ** 1000) / (values * (1 - 0.02 * values))
    noise = np.sqrt(0.1 * np.mean(variances))
    np.testing.assert_allclose(stats["standard_error"], noise, rtol=1e-10)
    np.testing.assert_allclose(stats["dt_limit"], 0.4, rtol=1e-10)
    assert (stats["num_steps"] > 0) == (simulation == "euler-maruyama")


def test_derivative_in_the_right_hand_side(operator, matrix, b):
    def first(b):
        return lx.linear_solve(operator, b, SPU(time=1e3)).value[0]

    np.testing.assert_allclose(jax.grad(first)(b), np.linalg.inv(matrix)[0], rtol=1e-9)


MILLION, HOT = 1_000_000, 1e-3


def _a_million(scale, b):
    """200 products with a circulant matrix, one read-out of a million noisy voltages."""
    operator = lx.FunctionLinearOperator(
        lambda v: scale * v + 0.1 * jnp.roll(v, 1) + 0.1 * jnp.roll(v, -1),
        jax.ShapeDtypeStruct(b.shape, b.dtype),
        PSD,
    )
    solver = SPU(time=20.0, temperature=HOT, simulation=EulerMaruyama(dt=0.1))
    return lx.linear_solve(operator, b, solver, options={"key": jax.random.key(0)}).value


def test_memory_of_a_million_parameters():
    vector = jax.ShapeDtypeStruct((MILLION,), np.float32)
    memory = jax.jit(_a_million).lower(vector, vector).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 30 * 4 * MILLION  # 200 products, and nothing of 200 x n


@pytest.mark.slow
def test_a_million_parameters():
    """Their mean is the solution, and their variance that of the scheme."""
    x = jax.jit(_a_million)(jnp.full(MILLION, 2.0, jnp.float32), jnp.ones(MILLION, jnp.float32))
    x = np.asarray(x, np.float64)
    a = 2 + 0.2 * np.cos(np.linspace(0, 2 * np.pi, 1000, endpoint=False))
    variance = np.mean(HOT / (a * (1 - 0.1 * a / 2)))
    assert abs(x.mean() - 1 / 2.2) < 5 * (variance / MILLION) ** 0.5
    assert x.var() == pytest.approx(variance, rel=0.01)
