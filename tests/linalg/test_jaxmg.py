"""How JAXMg is called: with a stand-in for it, since nothing here has several GPUs."""

import importlib
import inspect
import sys
import types
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.sharding import Mesh

from pinn_ngd.linalg import JacobianRows, JAXMg, LeastSquaresSystem, jaxmg, solve

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(9, 5))
MATRIX = ROWS.T @ ROWS + 0.1 * np.eye(5)


class StandIn:
    """`potrs` with the parameters of JAXMg 1.1.1."""

    def __init__(self, status=0):
        self.status, self.asked = status, []

    def potrs(
        self, a, b, T_A, mesh=None, matrix_specs=None, *, in_specs=None, return_status=False,
        return_logdet=False, pad=True, donate=True,
    ):  # fmt: skip
        assert mesh is not None
        assert not donate
        assert in_specs is None
        assert pad
        assert not return_logdet
        assert a.shape == (len(b), len(b))
        assert len(b) % mesh.size == 0
        assert 1 <= T_A <= len(b) // mesh.size
        self.asked.append((T_A, matrix_specs))
        x = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(a), True), b)
        status = jnp.full(mesh.size, self.status, jnp.int32)
        return (x, status) if return_status else x


@pytest.fixture
def stand_in(monkeypatch):
    found = StandIn()
    monkeypatch.setitem(sys.modules, "jaxmg", types.SimpleNamespace(potrs=found.potrs))
    monkeypatch.setattr(jaxmg, "_check_devices", lambda _: None)
    return found


def one_device(axes=("gpus",)):
    return Mesh(np.asarray(jax.devices()[:1]).reshape([1] * len(axes)), axes)


def test_a_positive_definite_system(stand_in):
    b = jnp.asarray(RNG.normal(size=5))
    operator = lx.MatrixLinearOperator(jnp.asarray(MATRIX), lx.positive_semidefinite_tag)
    found = lx.linear_solve(operator, b, JAXMg(one_device(), tile=2))
    np.testing.assert_allclose(found.value, np.linalg.solve(MATRIX, b), rtol=1e-12)
    assert {tile for tile, _ in stand_in.asked} == {2}
    assert {tuple(specs) for _, specs in stand_in.asked} == {("gpus",)}
    lx.linear_solve(operator, b, JAXMg(one_device()))
    assert stand_in.asked[-1][0] == 5  # no tile is wider than the rows of a device


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("solver", [JAXMg(one_device()), lx.Normal(JAXMg(one_device()))])
@pytest.mark.parametrize("wide", [False, True])
def test_damped_least_squares(solver, wide):
    rows = ROWS.T if wide else ROWS
    structures = (jax.ShapeDtypeStruct((n,), float) for n in rows.shape[::-1])
    b = jnp.arange(float(len(rows)))
    found = solve(
        LeastSquaresSystem(JacobianRows(jnp.asarray(rows), *structures), b, damping=0.3), solver
    )
    square = rows.T @ rows + 0.3 * np.eye(rows.shape[1])
    np.testing.assert_allclose(found.value, np.linalg.solve(square, rows.T @ b), rtol=1e-10)


@pytest.mark.usefixtures("stand_in")
def test_derivatives_are_those_of_the_solution():
    b = jnp.asarray(RNG.normal(size=5))

    def value(shift):
        matrix = jnp.asarray(MATRIX) + shift * jnp.eye(5)
        operator = lx.MatrixLinearOperator(matrix, lx.positive_semidefinite_tag)
        return jnp.sum(lx.linear_solve(operator, b, JAXMg(one_device())).value)

    inverse = np.linalg.inv(MATRIX)
    np.testing.assert_allclose(jax.grad(value)(0.0), -np.sum(inverse @ inverse @ b), rtol=1e-10)


def test_what_jaxmg_reports_is_the_result(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxmg", types.SimpleNamespace(potrs=StandIn(status=7).potrs))
    monkeypatch.setattr(jaxmg, "_check_devices", lambda _: None)
    operator = lx.MatrixLinearOperator(jnp.asarray(MATRIX), lx.positive_semidefinite_tag)
    found = lx.linear_solve(operator, jnp.ones(5), JAXMg(one_device()), throw=False)
    assert found.result == lx.RESULTS.singular


@pytest.mark.parametrize("parts", [1, 3, 5])
def test_rows_of_the_identity_fill_up(parts):
    matrix, target = jaxmg.filled(jnp.asarray(MATRIX), jnp.ones(5), parts)
    assert len(matrix) == len(target) == -(-5 // parts) * parts
    solution = np.linalg.solve(matrix, target)
    np.testing.assert_allclose(solution[:5], np.linalg.solve(MATRIX, np.ones(5)), rtol=1e-12)
    np.testing.assert_array_equal(solution[5:], 0)


def test_what_is_missing_is_said_in_a_sentence(monkeypatch):
    operator = lx.MatrixLinearOperator(jnp.asarray(MATRIX), lx.positive_semidefinite_tag)
    monkeypatch.setitem(sys.modules, "jaxmg", None)
    with pytest.raises(ImportError, match=r"is not installed, and several GPUs: run `pip install"):
        JAXMg().init(operator, {})
    monkeypatch.setitem(sys.modules, "jaxmg", types.SimpleNamespace())
    with pytest.raises(ValueError, match="`JAXMg` runs on GPUs, and `mesh` has cpu"):
        JAXMg().init(operator, {})
    with pytest.raises(ValueError, match="tagged positive semidefinite"):
        JAXMg().init(lx.MatrixLinearOperator(jnp.asarray(MATRIX)), {})
    with pytest.raises(ValueError, match="has the axes a, b; it must have one"):
        JAXMg(one_device(("a", "b")))


@pytest.mark.skipif(find_spec("jaxmg") is None, reason="JAXMg has packages for CUDA only")
def test_the_stand_in_has_the_parameters_of_the_real_one():
    real = importlib.import_module("jaxmg")
    names = [p for p in inspect.signature(StandIn.potrs).parameters if p != "self"]
    assert names == list(inspect.signature(real.potrs).parameters)
