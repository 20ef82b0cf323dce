"""Non-idealities of the device and the model of its cost."""

import itertools

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import (
    SPU,
    Device,
    DeviceCost,
    JacobianRows,
    Normal,
    ProductOperator,
    damped_primal,
    gram,
)
from pinn_ngd.linalg.spu import Failure, quantize
from pinn_ngd.linalg.spu.device import check_count
from pinn_ngd.linalg.spu.spectra import as_gram

PSD = lx.positive_semidefinite_tag


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(20, 40))


@pytest.fixture
def operator(dense, rows):
    return gram(dense(jnp.asarray(rows)), 0.1)


@pytest.fixture(scope="module")
def b():
    return jnp.asarray(np.random.default_rng(1).normal(size=40))


def _solve(operator, b, **device):
    solver = SPU(time=60.0, simulation="euler-maruyama", device=Device(**device))
    return lx.linear_solve(operator, b, solver).value


def test_quantize():
    x = jnp.asarray([-1.0, -0.3, 0.0, 0.2, 0.9])
    np.testing.assert_allclose(quantize(x, 1), [-1, -1, 0, 1, 1])
    np.testing.assert_allclose(quantize(x, 3), np.round(3 * np.asarray(x)) / 3)
    np.testing.assert_allclose(quantize(x, 3, 2.0), [-4 / 3, 0, 0, 0, 2 / 3])
    np.testing.assert_array_equal(quantize(jnp.zeros(2), 4), 0)
    for bits in (4, 8, 16):
        assert abs(quantize(x, bits) - x).max() <= 0.5001 / (2 ** (bits - 1) - 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_a_factored_device_stays_definite(operator, bits):
    programmed = Device(bits=bits).program(operator).as_matrix()
    assert np.linalg.eigvalsh(programmed).min() > 0.1 * (1 - 1e-10)


def test_a_dense_device_may_not(operator, b):
    dense = lx.MatrixLinearOperator(operator.as_matrix(), PSD)
    solver = SPU(time=1.0, device=Device(bits=4))
    coarse = lx.linear_solve(dense, b, solver, throw=False)
    assert coarse.stats["failure"] == Failure.INDEFINITE
    fine = lx.linear_solve(dense, b, SPU(time=1.0, device=Device(bits=16))).value
    exact = lx.linear_solve(dense, b, SPU(time=1.0)).value
    assert 1e-8 < np.linalg.norm(fine - exact) / np.linalg.norm(exact) < 1e-2


def test_error_falls_with_the_bits(operator, b, relative_error):
    exact = lx.linear_solve(operator, b, SPU(time=60.0)).value
    errors = [
        relative_error(lx.linear_solve(operator, b, SPU(60.0, device=Device(bits=n))).value, exact)
        for n in (4, 8, 12, 16)
    ]
    assert all(fine < coarse / 5 for coarse, fine in itertools.pairwise(errors))


def test_input_and_read_out_bits(operator, b):
    exact = lx.linear_solve(operator, b, SPU(time=3.0)).value
    fed = lx.linear_solve(operator, b, SPU(time=3.0, device=Device(input_bits=6))).value
    again = lx.linear_solve(operator, quantize(b, 6), SPU(time=3.0)).value
    np.testing.assert_allclose(fed, again, rtol=1e-12)
    read = lx.linear_solve(operator, b, SPU(time=3.0, device=Device(read_out_bits=6)))
    np.testing.assert_allclose(read.value, quantize(exact, 6), atol=1e-12)
    np.testing.assert_allclose(read.stats["state"], exact, rtol=1e-12)


def test_mismatch_is_static_and_not_symmetric(operator, b, relative_error):
    device = Device(mismatch=0.02, seed=4)
    drift = device.distort(operator).as_matrix()
    np.testing.assert_array_equal(drift, device.distort(operator).as_matrix())
    assert abs(drift - drift.T).max() > 1e-3 * abs(drift).max()
    value = _solve(operator, b, mismatch=0.02, seed=4)
    solution = np.linalg.solve(drift, b)
    power = np.asarray(b) - solution
    expected = solution + scipy.linalg.expm(-60.0 * np.asarray(drift)) @ power
    assert relative_error(value, expected) < 1e-5
    other = Device(mismatch=0.02, seed=5).distort(operator).as_matrix()
    assert abs(other - drift).max() > 1e-3


def test_a_mismatched_dense_array_is_one_array(operator):
    dense = lx.MatrixLinearOperator(operator.as_matrix(), PSD)
    drift = Device(mismatch=0.02).distort(dense).as_matrix()
    assert 0.01 < np.std(np.asarray(drift / dense.as_matrix()) - 1) < 0.03


def test_offset_is_an_error_of_b(operator, b, relative_error):
    device = Device(offset=0.01)
    value = lx.linear_solve(operator, b, SPU(time=1e4, device=device)).value
    expected = np.linalg.solve(operator.as_matrix(), device.feed(b))
    assert relative_error(value, expected) < 1e-9
    assert 0.003 < np.std(device.feed(b) - b) / np.max(np.abs(b)) < 0.03


def test_saturation(operator, b):
    free = _solve(operator, b)
    limit = 0.5 * float(np.max(np.abs(free)))
    value = _solve(operator, b, saturation=limit)
    assert np.max(np.abs(value)) <= limit
    np.testing.assert_allclose(_solve(operator, b, saturation=1e6), free)


@pytest.mark.slow
def test_mismatch_in_diffrax(operator, b, relative_error):
    pytest.importorskip("diffrax")
    device = Device(mismatch=0.02)
    value = lx.linear_solve(operator, b, SPU(5.0, simulation="diffrax", device=device)).value
    step = SPU(5.0, simulation="euler-maruyama", dt=1e-4, device=device)
    assert relative_error(value, lx.linear_solve(operator, b, step).value) < 1e-3


def test_normal_equations_are_recognised_as_a_gram_matrix(dense, rows):
    tall = damped_primal(dense(jnp.asarray(rows)), 0.1)
    normal = lx.TaggedLinearOperator(tall.transpose() @ tall, PSD)
    found = as_gram(normal)
    assert found is not None
    assert found.operator.out_size() == 20
    assert found.damping == 0.1
    assert as_gram(lx.MatrixLinearOperator(jnp.eye(3), PSD)) is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"bits": 0}, "`bits` is 0"),
        ({"input_bits": -3}, "`input_bits` is -3"),
        ({"read_out_bits": 0}, "`read_out_bits` is 0"),
        ({"mismatch": -0.1}, "`mismatch` is -0.1"),
        ({"saturation": -1.0}, "`saturation` is -1.0"),
        ({"saturation": 0.0}, "`saturation` is 0.0"),
    ],
)
def test_bad_devices(arguments, match):
    with pytest.raises(ValueError, match=match):
        Device(**arguments)


def test_counts_are_integers():
    for value in (8.5, 8.0, True, 0):
        with pytest.raises(ValueError, match=f"`bits` is {value}"):
            check_count("bits", value, "a number of bits")


def test_normal_equations_of_a_wide_operator_are_a_gram_matrix_too(rows, b):
    """lineax.Normal then solves for the dual unknown, with A A^T."""
    matrix = jnp.asarray(rows)
    wide = ProductOperator(
        lambda v: matrix @ v, lambda w: w @ matrix, jax.ShapeDtypeStruct((40,), jnp.float64)
    )
    found = as_gram(wide @ wide.T)
    assert found is not None
    np.testing.assert_allclose(found.as_matrix(), rows @ rows.T, atol=1e-12)
    target = matrix @ b
    device = Device(bits=12)
    value = lx.linear_solve(wide, target, lx.Normal(SPU(100.0, device=device))).value
    rounded = np.asarray(quantize(matrix, 12))
    dual = np.linalg.solve(rounded @ rounded.T, target)
    np.testing.assert_allclose(value, rows.T @ dual, rtol=1e-3, atol=1e-4)


def _same_matrix(matrix):
    struct = jax.ShapeDtypeStruct(matrix.shape[1:], matrix.dtype)
    return {
        "matrix": lx.MatrixLinearOperator(matrix),
        "rows": JacobianRows(matrix, struct, jax.ShapeDtypeStruct(matrix.shape[:1], matrix.dtype)),
        "products": ProductOperator(lambda v: matrix @ v, lambda w: w @ matrix, struct),
        "function": lx.FunctionLinearOperator(lambda v: matrix @ v, struct),
    }


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
@pytest.mark.parametrize("device", [{"bits": 4}, {"mismatch": 0.05}])
def test_the_class_of_an_operator_does_not_choose_the_arrays(shape, device):
    matrix = np.random.default_rng(0).normal(size=shape)
    simulation = "euler-maruyama" if "mismatch" in device else "exact"
    solver = Normal(SPU(time=5.0, simulation=simulation, device=Device(**device)))
    target = jnp.asarray(np.random.default_rng(1).normal(size=shape[0]))
    found = {
        name: lx.linear_solve(operator, target, solver)
        for name, operator in _same_matrix(jnp.asarray(matrix)).items()
    }
    for solution in found.values():
        np.testing.assert_allclose(solution.value, found["products"].value, rtol=1e-9)
        for name in ("device_seconds", "device_joules"):
            np.testing.assert_allclose(solution.stats[name], found["products"].stats[name])
    if "bits" in device:
        rounded = np.asarray(quantize(jnp.asarray(matrix), 4))
        tall = shape[0] >= shape[1]
        drift = rounded.T @ rounded if tall else rounded @ rounded.T
        b = matrix.T @ target if tall else np.asarray(target)
        settled = np.linalg.solve(drift, b)
        law = settled + scipy.linalg.expm(-5.0 * drift) @ (b - settled)
        expected = law if tall else matrix.T @ law
        np.testing.assert_allclose(found["matrix"].value, expected, rtol=1e-9)


def test_factors_that_are_no_transposes_are_no_arrays_of_a_device():
    left, right = (jnp.asarray(x) for x in ([[2.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 3.0]]))
    product = lx.MatrixLinearOperator(left) @ lx.MatrixLinearOperator(right)
    operator = lx.TaggedLinearOperator(product, PSD)
    coarse = lx.linear_solve(operator, jnp.ones(2), SPU(1.0, device=Device(bits=4)), throw=False)
    assert coarse.stats["failure"] == Failure.UNSYMMETRIC


def test_cost_model():
    """Factored arrays of 640 x 1e5, twice, at 16 bits over 50 Gb/s: 41 ms, beside 50 us."""
    elements = 2 * 640 * 100_000
    seconds, joules = DeviceCost().solve(elements, 100_000, 50.0)
    np.testing.assert_allclose(seconds, 16 * (elements + 2e5) / 50e9 + 50e-6, rtol=1e-12)
    assert 0.04 < seconds < 0.042
    slower = DeviceCost(bandwidth=5e9).solve(elements, 100_000, 50.0)
    assert slower[0] > 9 * seconds
    np.testing.assert_allclose(slower[1], joules)
    coarse = Device(bits=4, input_bits=6, read_out_bits=8)
    seconds, _ = DeviceCost().solve(1000, 10, 0.0, coarse)
    np.testing.assert_allclose(seconds, (4 * 1000 + (6 + 8) * 10) / 50e9, rtol=1e-12)
    with pytest.raises(ValueError, match="`bits` is 0"):
        DeviceCost(bits=0)
