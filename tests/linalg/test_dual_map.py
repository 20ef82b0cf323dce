"""Jacobians of maps with a known inverse, against dense matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    DualMap,
    InverseJacobian,
    JacobianRows,
    LeastSquaresSystem,
    Spectral,
    SquareRoot,
    solve,
)

MATRIX = jnp.asarray([[2.0, 0.3, 0.0], [0.3, 1.5, -0.2], [0.0, -0.2, 1.0]])
POINT = {"a": jnp.asarray([0.4, -0.3]), "b": jnp.asarray(0.7)}
VECTOR = {"a": jnp.asarray([1.0, 2.0]), "b": jnp.asarray(-0.5)}


def joined(x):
    return jnp.concatenate([x["a"], x["b"][None]])


def split(v):
    return {"a": v[:2], "b": v[2]}


def convex():
    """The gradient of the convex function sum_i 2 cosh(x_i)."""
    return DualMap(
        lambda x: jax.tree.map(lambda v: 2 * jnp.sinh(v), x),
        lambda y: jax.tree.map(lambda v: jnp.arcsinh(v / 2), y),
        POINT,
    )


def general():
    """x -> M tanh(x): a bijection whose Jacobian is not symmetric."""
    inverse = jnp.linalg.inv(MATRIX)
    return DualMap(
        lambda x: split(MATRIX @ jnp.tanh(joined(x))),
        lambda y: split(jnp.arctanh(inverse @ joined(y))),
        POINT,
        tags=frozenset(),
    )


@eqx.filter_jit
def dense(operator):
    return operator.as_matrix(), operator.inverse().as_matrix()


@pytest.mark.parametrize("make", [convex, general])
def test_products_and_solves_are_those_of_the_dense_jacobian(make):
    operator = make()
    matrix, inverse = dense(operator)
    np.testing.assert_allclose(matrix @ inverse, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(joined(operator.mv(VECTOR)), matrix @ joined(VECTOR), rtol=1e-13)
    transposed = joined(operator.T.mv(VECTOR))
    np.testing.assert_allclose(transposed, matrix.T @ joined(VECTOR), rtol=1e-13)
    for op, m in ((operator, matrix), (operator.T, matrix.T), (operator.inverse(), inverse)):
        found = lx.linear_solve(op, VECTOR, InverseJacobian())
        expected = np.linalg.solve(m, joined(VECTOR))
        np.testing.assert_allclose(joined(found.value), expected, rtol=1e-12)


def test_lineax_knows_what_it_is():
    operator, other = convex(), general()
    assert lx.is_symmetric(operator)
    assert lx.is_positive_semidefinite(operator)
    assert operator.T is operator
    for predicate in (lx.is_symmetric, lx.is_positive_semidefinite, lx.is_diagonal):
        assert not predicate(other)
    matrix, _ = dense(other)
    for same in (lx.linearise(other), lx.materialise(other), lx.conj(other)):
        np.testing.assert_allclose(same.as_matrix(), matrix, rtol=1e-13)
    np.testing.assert_allclose(lx.diagonal(other), np.diag(matrix))
    np.testing.assert_allclose(lx.tridiagonal(other)[1], np.diag(matrix, -1))


def test_a_solve_is_one_jacobian_vector_product():
    """No loop, no factorization and no other solver: products and elementwise functions alone."""
    program = jax.make_jaxpr(
        lambda v: lx.linear_solve(convex(), v, InverseJacobian(), throw=False).value
    )(VECTOR)
    text = str(program)
    for word in ("while", "scan", "cholesky", "lu", "triangular_solve", "qr", "dot_general"):
        assert f" {word}[" not in text


def test_solutions_have_derivatives_in_the_point_and_the_vector():
    def first(x, v):
        operator = DualMap(jnp.sinh, jnp.arcsinh, x)
        return jnp.sum(lx.linear_solve(operator, v, InverseJacobian()).value)

    x, v = jnp.asarray([0.3, -1.0]), jnp.asarray([1.0, 2.0])
    by_point, by_vector = jax.grad(first, (0, 1))(x, v)
    np.testing.assert_allclose(by_vector, 1 / np.cosh(x), rtol=1e-13)
    np.testing.assert_allclose(by_point, -v * np.sinh(x) / np.cosh(x) ** 2, rtol=1e-13)


def test_a_square_root_poses_the_system_for_every_solver():
    operator = SquareRoot(convex())
    matrix, _ = dense(convex())
    np.testing.assert_allclose(operator.as_matrix().T @ operator.as_matrix(), matrix, rtol=1e-13)
    image = operator.T.mv(operator.mv(VECTOR))
    np.testing.assert_allclose(joined(image), matrix @ joined(VECTOR), rtol=1e-13)
    system = LeastSquaresSystem(operator, gradient=VECTOR)
    expected = np.linalg.solve(matrix, joined(VECTOR))
    for solver in (InverseJacobian(), Spectral()):
        found = solve(system, solver)
        assert found.result == lx.RESULTS.successful
        np.testing.assert_allclose(joined(found.value), expected, rtol=1e-12)
    target = LeastSquaresSystem(operator, operator.mv(VECTOR))
    np.testing.assert_allclose(
        joined(solve(target, InverseJacobian()).value), joined(VECTOR), rtol=1e-12
    )


def test_a_damping_that_is_not_known_makes_no_number():
    @jax.jit
    def answer(damping):
        system = LeastSquaresSystem(SquareRoot(convex()), gradient=VECTOR, damping=damping)
        found = solve(system, InverseJacobian())
        return joined(found.value), found.result == lx.RESULTS.successful

    value, right = answer(0.0)
    assert bool(right) and bool(jnp.all(jnp.isfinite(value)))  # noqa: PT018
    value, right = answer(0.1)
    assert not bool(right)
    assert bool(jnp.all(jnp.isnan(value)))


def rows():
    leaf = jax.ShapeDtypeStruct((3,), MATRIX.dtype)
    return JacobianRows(MATRIX, leaf, leaf)


REFUSED = [
    (lambda: lx.linear_solve(rows(), jnp.ones(3), InverseJacobian()), "this operator is a Jac"),
    (
        lambda: solve(LeastSquaresSystem(rows(), gradient=jnp.ones(3)), InverseJacobian()),
        "of which no inverse is known",
    ),
    (
        lambda: solve(
            LeastSquaresSystem(SquareRoot(convex()), gradient=VECTOR, damping=0.1),
            InverseJacobian(),
        ),
        "`damping` is 0.1, and InverseJacobian",
    ),
    (
        lambda: DualMap(jnp.sinh, jnp.arcsinh, POINT["a"], tags=frozenset({lx.tridiagonal_tag})),
        "which the inverse does not share",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_has_no_inverse_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
