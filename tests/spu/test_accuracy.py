"""Digits of the exact simulation where A is large and the damping small, and its derivatives."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import SVD, Fallback, LeastSquaresSystem, Normal, gram, solve
from pinn_ngd.spu import SPU, Device, EulerMaruyama, Lanczos

PSD = lx.positive_semidefinite_tag
RUNTIME = (ValueError, jax.errors.JaxRuntimeError)


def _settled(a, time):
    return np.where(a * time > 0, -np.expm1(-a * time) / np.where(a > 0, a, 1), time)


def _expected(rows, target, damping, time):
    """exp(-A t) A^T y + s(A) A^T y from the singular values of the rows, without their squares."""
    left, s, right = np.linalg.svd(np.asarray(rows, np.float64), full_matrices=False)
    a = s**2 + damping
    share = np.exp(-a * time) + _settled(a, time)
    return right.T @ (share * s * (left.T @ np.asarray(target, np.float64)))


@pytest.mark.parametrize("scale", [30.0, 1000.0])
@pytest.mark.parametrize("damping", [0.0, 1e-8, 1e-3])
@pytest.mark.parametrize("shape", [(100, 300), (300, 100)])
def test_large_rows_and_small_dampings(dense, relative_error, scale, damping, shape):
    rng = np.random.default_rng(0)
    rows, target = scale * rng.normal(size=shape), rng.normal(size=shape[0])
    system = LeastSquaresSystem(dense(jnp.asarray(rows)), jnp.asarray(target), damping=damping)
    for time in (1e-5, 1.0, 1e6):
        value = solve(system, SPU(time=time)).value
        assert relative_error(value, _expected(rows, target, damping, time)) < 3e-14


@pytest.mark.parametrize("damping", [0.0, 1e-8, 1e-3])
def test_single_precision(dense, relative_error, damping):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(8, 40)).astype(np.float32)
    target = rng.normal(size=8).astype(np.float32)
    system = LeastSquaresSystem(dense(jnp.asarray(rows)), jnp.asarray(target), damping=damping)
    found = solve(system, SPU(time=1e6))
    assert found.value.dtype == jnp.float32
    assert relative_error(found.value, _expected(rows, target, damping, 1e6)) < 3e-6


def test_ill_conditioned_rows(dense, relative_error, conditioned):
    """Eigenvalues far below the damping, as of PINNs: the law has no digits to lose there."""
    rows = conditioned(60, 200, np.geomspace(1e-8, 1.0, 60))
    target = np.random.default_rng(2).normal(size=60)
    system = LeastSquaresSystem(dense(jnp.asarray(rows)), jnp.asarray(target), damping=1e-8)
    value = solve(system, SPU(time=1e6)).value
    assert relative_error(value, _expected(rows, target, 1e-8, 1e6)) < 1e-6


@pytest.mark.parametrize("read_out", ["end", "average"])
def test_a_start_of_ones_own_keeps_the_row_space_of_the_target(dense, relative_error, read_out):
    rng = np.random.default_rng(3)
    rows, target = 30 * rng.normal(size=(20, 50)), rng.normal(size=20)
    start, damping, time = rng.normal(size=50), 1e-3, 10.0
    system = LeastSquaresSystem(dense(jnp.asarray(rows)), jnp.asarray(target), damping=damping)
    found = solve(system, SPU(time, read_out=read_out), options={"y0": jnp.asarray(start)}).value
    left, s, right = np.linalg.svd(rows, full_matrices=False)
    a, a0 = s**2 + damping, damping
    inside, outside = right @ start, start - right.T @ (right @ start)
    if read_out == "end":
        decay, force, flat = np.exp(-a * time), _settled(a, time), np.exp(-a0 * time)
    else:
        decay, flat = _settled(a, time) / time, _settled(np.asarray(a0), time) / time
        force = (1 - decay) / a
    expected = right.T @ (decay * inside + force * s * (left.T @ target)) + flat * outside
    assert relative_error(found, expected) < 1e-14


def test_lanczos_with_large_rows(dense, relative_error):
    """Tall: all digits. Wide: rounding off the row space, times the time, is all that is lost."""
    for shape, tolerance in (((60, 10), 1e-14), ((10, 60), 5e-9)):
        rng = np.random.default_rng(4)
        rows, target = 30 * rng.normal(size=shape), rng.normal(size=shape[0])
        operator, b = gram(dense(jnp.asarray(rows)), 1e-3), jnp.asarray(rows.T @ target)
        krylov = SPU(time=50.0, simulation=Lanczos(30))
        found = lx.linear_solve(operator, b, krylov).value
        assert relative_error(found, _expected(rows, target, 1e-3, 50.0)) < tolerance


@pytest.fixture
def operator():
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    matrix = (q * np.geomspace(0.1, 2, 6)) @ q.T
    return lx.MatrixLinearOperator(jnp.asarray((matrix + matrix.T) / 2), PSD)


@pytest.mark.parametrize("simulation", ["exact", "lanczos", "euler-maruyama"])
def test_derivative_in_b_is_the_filter(operator, simulation):
    """At any time: linear in b, so that a zero tangent stays zero."""
    b = jnp.arange(1.0, 7.0)
    solver = SPU(time=2.0, simulation=simulation)

    def run(b):
        return lx.linear_solve(operator, b, solver).value

    for tangent in (jnp.zeros(6), jnp.ones(6)):
        _, found = jax.jvp(run, (b,), (tangent,))
        np.testing.assert_allclose(found, run(tangent), rtol=1e-13)
    gradient = jax.grad(lambda b: run(b)[0])(b)
    np.testing.assert_allclose(gradient, run(jnp.eye(6)[0]), rtol=1e-9)


def test_derivative_in_the_operator_needs_a_settled_device(operator):
    b, matrix = jnp.arange(1.0, 7.0), operator.as_matrix()

    def run(matrix, time):
        return lx.linear_solve(lx.MatrixLinearOperator(matrix, PSD), b, SPU(time=time)).value

    symmetric = jnp.diag(jnp.arange(6.0))
    _, found = jax.jvp(lambda m: run(m, 1e3), (matrix,), (symmetric,))
    inverse = np.linalg.inv(matrix)
    np.testing.assert_allclose(found, -inverse @ symmetric @ inverse @ b, rtol=1e-9)
    with pytest.raises(RUNTIME, match="derivative in `operator` is that of"):
        jax.block_until_ready(jax.jvp(lambda m: run(m, 10.0), (matrix,), (symmetric,)))


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ({"temperature": 0.1}, {"key": jax.random.key(0)}, "because of `temperature`"),
        ({}, {"y0": jnp.ones(6)}, "because of options"),
        ({"device": Device(offset=0.1)}, {}, "because of `offset`"),
        ({"device": Device(input_bits=8)}, {}, "because of `input_bits`"),
        ({"device": Device(read_out_bits=8)}, {}, "because of `read_out_bits`"),
        (
            {"simulation": EulerMaruyama(mismatch=0.1)},
            {},
            "because of `mismatch`",
        ),
    ],
)
def test_reverse_derivatives_of_what_is_not_linear_are_refused(operator, arguments, options, match):
    solver = SPU(time=2.0, **arguments)
    for wrapped in (solver, Normal(solver)):
        with pytest.raises(NotImplementedError, match=match):
            jax.grad(
                lambda b, s=wrapped: lx.linear_solve(operator, b, s, options=options).value[0]
            )(jnp.ones(6))


@pytest.mark.slow
def test_forward_derivatives_of_a_system(dense):
    """`solve` refuses what Lineax cannot see, and differentiates the eigenvalues' filters."""
    rows = dense(jnp.asarray(np.random.default_rng(0).normal(size=(3, 6))))
    target, key = jnp.ones(3), jax.random.key(0)

    def run(target, y0=None, rows=rows, **arguments):
        system = LeastSquaresSystem(rows, target, damping=0.1)
        start = {} if y0 is None else {"y0": y0}
        return solve(system, SPU(time=2.0, **arguments), options={"key": key, **start}).value

    zero = jnp.zeros(3)
    for arguments in ({}, {"y0": jnp.ones(6)}, {"temperature": 0.1}):
        _, found = jax.jvp(lambda y, a=arguments: run(y, **a), (target,), (zero,))
        np.testing.assert_array_equal(found, 0)
        _, found = jax.jvp(lambda y, a=arguments: run(y, **a), (target,), (target,))
        expected = run(target) if "y0" not in arguments else run(target, jnp.zeros(6))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    euler = {"simulation": "euler-maruyama", "temperature": 0.1}
    with pytest.raises(RuntimeError, match="because of `temperature`"):
        jax.jvp(lambda y: run(y, **euler), (target,), (zero,))
    with pytest.raises(RuntimeError, match="because of `input_bits`"):
        jax.jvp(lambda y: run(y, device=Device(input_bits=8)), (target,), (zero,))

    def scaled(x):
        return run(target, rows=dense(x * rows.matrix))

    with pytest.raises(RuntimeError, match="differentiated in the operator or the damping"):
        jax.jvp(scaled, (jnp.ones(()),), (jnp.ones(()),))


def test_a_fallback_refuses_for_its_device(dense):
    system, key = dense(jnp.ones((2, 3))), jax.random.key(0)
    solver = Fallback(SPU(2.0, 0.1), SVD())

    def run(target):
        return solve(LeastSquaresSystem(system, target, damping=0.1), solver, options={"key": key})

    with pytest.raises(RuntimeError, match="because of `temperature`"):
        jax.jvp(lambda y: run(y).value, (jnp.ones(2),), (jnp.ones(2),))


@pytest.mark.parametrize("simulation", ["exact", "lanczos"])
@pytest.mark.parametrize("target", [True, False])
def test_only_the_row_space_has_to_settle(dense, simulation, target):
    """A small damping rules the null space of A, where a gradient has no part: no warning."""
    rows = np.random.default_rng(4).normal(size=(5, 20))
    rows[4] = rows[3]
    y = jnp.ones(5)
    given = {"target": y} if target else {"gradient": jnp.asarray(rows).T @ y}
    system = LeastSquaresSystem(dense(jnp.asarray(rows)), **given, damping=1e-9)
    jax.block_until_ready(solve(system, SPU(time=100.0, simulation=simulation)).value)
    jax.effects_barrier()
