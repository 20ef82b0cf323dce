"""A device with arrays of its own for the Jacobian and for the curvature of the loss."""

import itertools

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import JacobianRows, LeastSquaresSystem, WeightedJacobian, gram, prepare
from pinn_ngd.linalg._ravel import hashable
from pinn_ngd.spu import SPU, Device, EulerMaruyama, Failure, Lanczos, explain, quantize
from pinn_ngd.spu.arrays import ResistorArrays
from pinn_ngd.spu.filters import settled
from pinn_ngd.spu.spectra import spectrum_of

EXAMPLES, OUTPUTS = 5, 4
TIME = 7.0


def _softmax_factor(z):
    p = jax.nn.softmax(z)
    return jnp.diag(jnp.sqrt(p)) - jnp.outer(p, jnp.sqrt(p))


def _weighted(parameters, key, rank=None):
    """A = C^T J of a softmax with random logits; J (20, parameters) of full rank unless given."""
    first, second = jax.random.split(key)
    rows = jax.random.normal(first, (EXAMPLES * OUTPUTS, parameters))
    if rank:
        rows = rows.at[rank:].set(rows[:1])
    into = jax.ShapeDtypeStruct((parameters,), rows.dtype)
    out = jax.ShapeDtypeStruct((EXAMPLES, OUTPUTS), rows.dtype)
    factor = jax.vmap(_softmax_factor)(jax.random.normal(second, (EXAMPLES, OUTPUTS)))
    return WeightedJacobian(JacobianRows(rows, into, out), factor)


@pytest.fixture
def weighted(key):
    return _weighted(30, key)


@pytest.fixture(scope="module")
def b():
    return jnp.asarray(np.random.default_rng(1).normal(size=30))


def _programmed(weighted, bits, damping, curvature_bits=None):
    """J^T H J + damping of the rounded arrays, by numpy."""
    matrix = np.asarray(quantize(weighted.operator.as_matrix(), bits))
    curvature = quantize(weighted.curvature(), curvature_bits or bits)
    middle = scipy.linalg.block_diag(*np.asarray(curvature))
    return matrix.T @ middle @ matrix + damping * np.eye(matrix.shape[1])


def _law(drift, b, time=TIME):
    """x(time) from x(0) = b, by the matrix exponential."""
    settled = np.linalg.solve(drift, b)
    return settled + scipy.linalg.expm(-time * drift) @ (b - settled)


def _run(operator, b, **keywords):
    return lx.linear_solve(operator, b, SPU(TIME, **keywords)).value


def _failure(operator, b, **keywords):
    return lx.linear_solve(operator, b, SPU(TIME, **keywords), throw=False).stats["failure"]


def test_three_arrays_are_rounded_each_for_itself(weighted):
    operator = gram(weighted, 0.3)
    for device, bits in ((Device(bits=6), (6, 6)), (Device(bits=6, curvature_bits=9), (6, 9))):
        expected = _programmed(weighted, bits[0], 0.3, bits[1])
        np.testing.assert_allclose(device.program(operator).as_matrix(), expected, atol=1e-12)
    alone = Device(curvature_bits=5).program(operator).as_matrix()
    expected = _programmed(weighted, 50, 0.3, 5)
    np.testing.assert_allclose(alone, expected, atol=1e-11)


def test_a_rounded_curvature_is_indefinite_and_damping_makes_up_for_it(weighted, b, relative_error):
    undamped = _programmed(weighted, 3, 0.0)
    lowest = np.linalg.eigvalsh(undamped)[0]
    assert lowest < -0.01
    enough, too_little = -1.1 * lowest, -0.9 * lowest
    device = Device(bits=3)
    value = _run(gram(weighted, enough), b, device=device)
    assert relative_error(value, _law(undamped + enough * np.eye(30), b)) < 1e-10
    failure = _failure(gram(weighted, too_little), b, device=device)
    assert "`factored=True`" in explain(failure)
    early = 0.05 / (-0.1 * lowest)  # a growth by a twentieth is no divergence
    for simulation in ("exact", "lanczos"):
        solver = SPU(early, simulation=simulation, device=device)
        value = lx.linear_solve(gram(weighted, too_little), b, solver).value
        drift = undamped + too_little * np.eye(30)
        assert relative_error(value, _law(drift, b, early)) < 1e-9
    fine = _run(gram(weighted, too_little), b, device=Device(bits=3, factored=True))
    rounded = quantize(weighted.as_matrix(), 3)
    np.testing.assert_allclose(fine, _law(rounded.T @ rounded + too_little * np.eye(30), b))


@pytest.mark.parametrize(("parameters", "rank"), [(30, None), (30, 12), (15, None), (20, None)])
def test_the_exact_law_of_rounded_arrays(key, relative_error, parameters, rank):
    """Wide, rank deficient, tall and square J."""
    weighted = _weighted(parameters, key, rank)
    b = jax.random.normal(key, (parameters,))
    value = _run(gram(weighted, 0.5), b, device=Device(bits=7))
    assert relative_error(value, _law(_programmed(weighted, 7, 0.5), b)) < 1e-9


def test_simulations_agree(weighted, b, relative_error):
    operator, device = gram(weighted, 0.5), Device(bits=5)
    exact = _run(operator, b, device=device)
    krylov = _run(operator, b, device=device, simulation="lanczos")
    stepped = _run(operator, b, device=device, simulation=EulerMaruyama(1e-3))
    assert relative_error(krylov, exact) < 1e-10
    assert relative_error(stepped, exact) < 1e-3


def test_many_bits_are_the_perfect_device(weighted, b, relative_error):
    operator = gram(weighted, 0.1)
    fine = _run(operator, b, device=Device(bits=48))
    assert relative_error(fine, _run(operator, b)) < 1e-11


def test_every_array_errs_for_itself(weighted, b, relative_error):
    device, operator = Device(seed=3), gram(weighted, 0.5)
    drift = device.distort(operator, 0.05)
    h = np.asarray(weighted.curvature())
    errors = [
        np.asarray(drift.forth / weighted.operator.as_matrix()) - 1,
        np.asarray(drift.back / weighted.operator.as_matrix()) - 1,
        np.asarray(drift.curvature) / h - 1,
    ]
    for error in errors:
        assert 0.035 < np.std(error) < 0.065
    assert abs(np.corrcoef(errors[0].ravel(), errors[1].ravel())[0, 1]) < 0.2
    assert abs(np.corrcoef(errors[0].ravel()[: h.size], errors[2].ravel())[0, 1]) < 0.4
    value = _run(operator, b, device=device, simulation=EulerMaruyama(1e-3, mismatch=0.05))
    assert relative_error(value, _law(np.asarray(drift.as_matrix()), b)) < 1e-3
    np.testing.assert_allclose(drift.T.as_matrix(), drift.as_matrix().T, atol=1e-13)
    np.testing.assert_allclose(drift.mv(b), drift.as_matrix() @ b, atol=1e-12)


def test_both_rounding_and_mismatch(weighted):
    device, operator = Device(bits=6), gram(weighted, 0.5)
    drift = device.distort(device.program(operator), 0.05)
    matrix = quantize(weighted.operator.as_matrix(), 6)
    zero = np.asarray(matrix) == 0
    assert zero.any()
    np.testing.assert_array_equal(np.asarray(drift.forth)[zero], 0)
    assert not drift.symmetric


def _single(matrix):
    into = jax.ShapeDtypeStruct(matrix.shape[1:], jnp.float32)
    out = jax.ShapeDtypeStruct((len(matrix) // 4, 4), jnp.float32)
    return JacobianRows(matrix, into, out)


@pytest.mark.slow
def test_single_precision(relative_error):
    """The Jacobian's singular values fall by four decades: their squares would be lost."""
    first, second, third = jax.random.split(jax.random.key(7), 3)
    left, _ = jnp.linalg.qr(jax.random.normal(first, (40, 40)))
    right, _ = jnp.linalg.qr(jax.random.normal(second, (120, 40)))
    rows = (left * jnp.geomspace(1e-3, 10, 40)) @ right.T
    factor = jax.vmap(_softmax_factor)(jax.random.normal(third, (10, 4)))
    into, out = jax.ShapeDtypeStruct((120,), rows.dtype), jax.ShapeDtypeStruct((10, 4), rows.dtype)
    operator = gram(WeightedJacobian(JacobianRows(rows, into, out), factor), 1e-3)
    double = Device(bits=20).program(operator)
    b = jax.random.normal(third, (120,))
    found = []
    for dtype in (jnp.float32, jnp.float64):
        frozen = hashable(jax.ShapeDtypeStruct((120,), dtype))
        parts = (x.astype(dtype) for x in (double.forth, double.back, double.curvature))
        arrays = ResistorArrays(*parts, double.damping.astype(dtype), frozen, True)
        found += spectrum_of(arrays).apply([lambda a: settled(a, 1e3)], b.astype(dtype))
    assert found[0].dtype == jnp.float32
    # A condition number of 3e4 and a rounding of 6e-8.
    assert relative_error(found[0], np.asarray(found[1])) < 1e-3


def test_many_parameters_hide_no_negative_eigenvalue(key):
    """Rounding grows with the rows that are decomposed, not with the parameters."""
    parameters = 200_000
    weighted = _weighted(parameters, key)
    operator, b = gram(_in_single(weighted), 1e-3), jnp.ones(parameters, jnp.float32)
    programmed = Device(bits=3).program(operator)
    values = spectrum_of(programmed).values
    share = float(values.min() / values.max())
    assert -10 * parameters * float(jnp.finfo(jnp.float32).eps) < share < -0.01
    assert _failure(operator, b, device=Device(bits=3)) == Failure.INDEFINITE


def _in_single(weighted):
    matrix = weighted.operator.matrix.astype(jnp.float32)
    return WeightedJacobian(_single(matrix), weighted.factor.astype(jnp.float32))


@pytest.mark.parametrize("parameters", [6, 20])
def test_a_tall_or_square_jacobian_has_no_flat_directions(key, parameters, relative_error):
    """Read late and without damping: nothing is left of b that a long time could multiply."""
    device, time = Device(bits=12), 1e5
    identity = jnp.broadcast_to(jnp.eye(4), (5, 4, 4))
    rows = jnp.eye(20, parameters) + 0.1 * jax.random.normal(key, (20, parameters))
    into, out = jax.ShapeDtypeStruct((parameters,), rows.dtype), _out()
    weighted = WeightedJacobian(JacobianRows(rows, into, out), identity)
    b = jax.random.normal(key, (parameters,))
    drift = _programmed(weighted, 12, 0.0)
    solution = np.linalg.solve(drift, b)
    found = lx.linear_solve(gram(weighted, 0.0), b, SPU(time, device=device))
    assert relative_error(found.value, solution) < 1e-11
    assert found.stats["settled"] == 1
    assert found.stats["condition"] == pytest.approx(np.linalg.cond(drift), rel=1e-9)
    operator = gram(_in_single(weighted), 0.0)
    single = lx.linear_solve(operator, b.astype(jnp.float32), SPU(time, device=device)).value
    assert relative_error(single, solution) < 1e-3


def _out():
    return jax.ShapeDtypeStruct((EXAMPLES, OUTPUTS), jnp.float64)


def test_errors_of_all_arrays_and_of_inputs_are_independent(weighted):
    device = Device(offset=0.1, seed=3)
    drift = device.distort(gram(weighted, 0.5), 0.05)
    b = jnp.ones(80)
    draws = [
        np.ravel(drift.forth / weighted.operator.matrix - 1) / 0.05,
        np.ravel(drift.back / weighted.operator.matrix - 1) / 0.05,
        np.ravel(drift.curvature / weighted.curvature() - 1) / 0.05,
        np.ravel(device.feed(b) - b) / 0.1,
    ]
    for x, y in itertools.combinations([draw[:80] for draw in draws], 2):
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.4


@pytest.mark.parametrize(("size", "slow"), [(1e-20, 1e-4), (1e17, 1e-3)])
def test_very_small_and_large_voltages_are_no_divergence(size, slow):
    matrix = jnp.diag(jnp.asarray([slow, 1, 1], jnp.float32))
    operator = lx.MatrixLinearOperator(matrix, lx.positive_semidefinite_tag)
    b = jnp.asarray([size, 0, 0], jnp.float32)
    found = lx.linear_solve(operator, b, SPU(1e5), throw=False)
    assert found.result == lx.RESULTS.successful
    np.testing.assert_allclose(found.value[0], size / slow, rtol=1e-3)


def test_lanczos_sees_what_its_probe_missed(b):
    """A narrow negative eigenvalue among many: 20 products of the probe are not enough."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    values = np.append(np.linspace(0.5, 100, 299), -0.05)
    matrix = jnp.asarray((vectors * values) @ vectors.T)
    operator = lx.MatrixLinearOperator((matrix + matrix.T) / 2, lx.positive_semidefinite_tag)
    b = jnp.asarray(rng.normal(size=300))
    few, many = (SPU(TIME, simulation=Lanczos(n)) for n in (10, 150))
    jax.block_until_ready(lx.linear_solve(operator, b, few).value)
    found = lx.linear_solve(operator, b, many, throw=False)
    assert found.stats["failure"] == Failure.INDEFINITE
    assert np.isnan(found.value).all()


def test_voltages_that_grow_without_bound_are_no_success(weighted, b):
    operator = gram(weighted, 0.5)
    erring = {"simulation": EulerMaruyama(mismatch=0.5)}
    drift = Device().distort(operator, 0.5).as_matrix()
    assert np.linalg.eigvals(drift).real.min() < -0.01
    grown = lx.linear_solve(operator, b, SPU(2000.0, **erring), throw=False)
    assert grown.result != lx.RESULTS.successful
    early = lx.linear_solve(operator, b, SPU(1.0, **erring), throw=False)
    assert early.result == lx.RESULTS.successful


def test_every_damping_is_judged_for_itself(weighted, b, relative_error):
    device = SPU(TIME, device=Device(bits=3))
    lowest = float(np.linalg.eigvalsh(_programmed(weighted, 3, 0.0))[0])
    enough = -2 * lowest
    kept = prepare(LeastSquaresSystem(weighted, gradient=b, damping=0.0), device)
    value = kept.solve(damping=enough).value
    assert relative_error(value, _law(_programmed(weighted, 3, enough), b)) < 1e-9
    little = kept.solve(damping=-lowest / 2)
    assert little.stats["failure"] == Failure.INDEFINITE
    assert little.result == lx.RESULTS.singular


def test_another_damping_is_a_shift(weighted, b, relative_error):
    device = Device(bits=6)
    system = LeastSquaresSystem(weighted, gradient=b, damping=0.5)
    kept = prepare(system, SPU(TIME, device=device)).solve(damping=2.0)
    assert relative_error(kept.value, _law(_programmed(weighted, 6, 2.0), b)) < 1e-9


def test_elements_that_are_paid_for(weighted):
    operator = gram(weighted, 0.5)
    assert Device().elements(operator) == 2 * 20 * 30 + 5 * 4 * 4 + 30
    assert Device(factored=True).elements(operator) == 2 * 20 * 30 + 30
    programmed = Device(bits=4).program(operator)
    assert Device(bits=4).elements(programmed) == Device().elements(operator)


def test_curvature_bits_need_an_array_of_the_curvature(weighted, dense, b):
    plain = gram(dense(jnp.ones((3, 30))), 0.1)
    matrix = lx.MatrixLinearOperator(jnp.eye(30), lx.positive_semidefinite_tag)
    cases = [(plain, {}), (matrix, {}), (gram(weighted, 0.1), {"factored": True})]
    for operator, keywords in cases:
        with pytest.raises(ValueError, match="no array of the curvature"):
            _run(operator, b, device=Device(curvature_bits=4, **keywords))
