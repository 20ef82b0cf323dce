"""One rule for what is programmed: the factors of an operator, whatever their classes."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.linalg

from pinn_ngd.linalg import (
    JacobianRows,
    Normal,
    ProductOperator,
    WeightedJacobian,
    damped_primal,
    gram,
)
from pinn_ngd.spu import SPU, Device, EulerMaruyama, Failure, quantize
from pinn_ngd.spu.factors import as_gram

PSD = lx.positive_semidefinite_tag


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(20, 40))


@pytest.fixture(scope="module")
def b():
    return jnp.asarray(np.random.default_rng(1).normal(size=40))


def test_normal_equations_are_recognised_as_a_gram_matrix(dense, rows):
    tall = damped_primal(dense(jnp.asarray(rows)), 0.1)
    normal = lx.TaggedLinearOperator(tall.transpose() @ tall, PSD)
    found = as_gram(normal)
    assert found is not None
    assert found.operator.out_size() == 20
    assert found.damping == 0.1
    assert as_gram(lx.MatrixLinearOperator(jnp.eye(3), PSD)) is None


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
@pytest.mark.parametrize("lacking", ["bits", "mismatch"])
@pytest.mark.slow
def test_the_class_of_an_operator_does_not_choose_the_arrays(shape, lacking):
    matrix = np.random.default_rng(0).normal(size=shape)
    erring, rounded = SPU(5.0, simulation=EulerMaruyama(mismatch=0.05)), Device(bits=4)
    solver = Normal(SPU(5.0, device=rounded) if lacking == "bits" else erring)
    target = jnp.asarray(np.random.default_rng(1).normal(size=shape[0]))
    found = {
        name: lx.linear_solve(operator, target, solver)
        for name, operator in _same_matrix(jnp.asarray(matrix)).items()
    }
    for solution in found.values():
        np.testing.assert_allclose(solution.value, found["products"].value, rtol=1e-9)
    if lacking == "bits":
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


def _normal(operator):
    return lx.TaggedLinearOperator(operator.T @ operator, PSD)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_elements_are_those_of_the_factors(shape):
    """Two arrays and a damping, which a composition and a stacked damping have too."""
    for operator in _same_matrix(jnp.ones(shape)).values():
        for product in (
            gram(operator, 0.1),
            _normal(operator),
            _normal(damped_primal(operator, 0.1)),
        ):
            assert Device().elements(product) == 2 * 12 + shape[1]
    plain = lx.MatrixLinearOperator(jnp.ones((3, 3)), PSD)
    assert Device().elements(plain) == 9


@pytest.mark.parametrize("kind", ["rows", "weighted"])
def test_factors_that_have_been_copied_are_the_same_device(key, kind):
    """Compiled functions copy their arguments, so that A^T is no longer known to be that of A."""
    matrix = jax.random.normal(key, (6, 8))
    into, out = jax.ShapeDtypeStruct((8,), matrix.dtype), jax.ShapeDtypeStruct((3, 2), matrix.dtype)
    operator = JacobianRows(matrix, into, out)
    if kind == "weighted":
        operator = WeightedJacobian(operator, jax.random.normal(key, (3, 2, 2)))
    normal = _normal(damped_primal(operator, 0.5))
    copied = jax.tree.map(lambda x: x, normal)
    assert as_gram(normal) is not None
    assert as_gram(copied) is None
    for device in (Device(bits=5), Device(bits=5, factored=True)):
        programmed = [device.program(x).as_matrix() for x in (gram(operator, 0.5), normal, copied)]
        np.testing.assert_allclose(programmed[1], programmed[0], rtol=1e-12)
        np.testing.assert_allclose(programmed[2], programmed[0], rtol=1e-12)
        assert device.elements(copied) == device.elements(normal)
