"""Non-idealities of the device and the model of its cost."""

import itertools

import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import gram
from pinn_ngd.spu import SPU, Device, Diffrax, EulerMaruyama, Failure, quantize
from pinn_ngd.spu.arguments import check_count

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


def _solve(operator, b, seed=0, **settings):
    solver = SPU(60.0, simulation=EulerMaruyama(**settings), device=Device(seed=seed))
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
    device = Device(seed=4)
    drift = device.distort(operator, 0.02).as_matrix()
    np.testing.assert_array_equal(drift, device.distort(operator, 0.02).as_matrix())
    assert abs(drift - drift.T).max() > 1e-3 * abs(drift).max()
    value = _solve(operator, b, mismatch=0.02, seed=4)
    solution = np.linalg.solve(drift, b)
    power = np.asarray(b) - solution
    expected = solution + scipy.linalg.expm(-60.0 * np.asarray(drift)) @ power
    assert relative_error(value, expected) < 1e-5
    other = Device(seed=5).distort(operator, 0.02).as_matrix()
    assert abs(other - drift).max() > 1e-3


def test_a_mismatched_dense_array_is_one_array(operator):
    dense = lx.MatrixLinearOperator(operator.as_matrix(), PSD)
    drift = Device().distort(dense, 0.02).as_matrix()
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
    value = lx.linear_solve(operator, b, SPU(5.0, simulation=Diffrax(mismatch=0.02))).value
    step = SPU(5.0, simulation=EulerMaruyama(1e-4, mismatch=0.02))
    assert relative_error(value, lx.linear_solve(operator, b, step).value) < 1e-3


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"bits": 0}, "`bits` is 0"),
        ({"input_bits": -3}, "`input_bits` is -3"),
        ({"read_out_bits": 0}, "`read_out_bits` is 0"),
        ({"offset": -0.1}, "`offset` is -0.1"),
        ({"curvature_bits": 4, "factored": True}, "no array of the curvature"),
    ],
)
def test_bad_devices(arguments, match):
    with pytest.raises(ValueError, match=match):
        Device(**arguments)


def test_counts_are_integers():
    for value in (8.5, 8.0, True, 0):
        with pytest.raises(ValueError, match=f"`bits` is {value}"):
            check_count("bits", value, "a number of bits")
