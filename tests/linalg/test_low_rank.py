"""A diagonal plus a product of few columns, and its inverse."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import LowRankPlusDiagonal, Woodbury

RNG = np.random.default_rng(0)
FACTOR, DIAGONAL = jnp.asarray(RNG.normal(size=(7, 3))), jnp.asarray(RNG.uniform(0.5, 2, 7))
TREE = {
    "a": jax.ShapeDtypeStruct((2, 2), jnp.float64),
    "b": jax.ShapeDtypeStruct((3,), jnp.float64),
}
MATRIX = np.diag(DIAGONAL) + FACTOR @ FACTOR.T


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.fixture
def vector():
    return {"a": jnp.asarray(RNG.normal(size=(2, 2))), "b": jnp.asarray(RNG.normal(size=3))}


def test_products_and_matrix(vector):
    operator = LowRankPlusDiagonal(FACTOR, DIAGONAL, TREE)
    np.testing.assert_allclose(operator.as_matrix(), MATRIX, rtol=1e-14)
    np.testing.assert_allclose(flat(operator.mv(vector)), MATRIX @ flat(vector), rtol=1e-12)
    assert operator.T is operator
    assert lx.is_positive_semidefinite(operator)
    assert lx.is_symmetric(operator)
    np.testing.assert_allclose(lx.diagonal(operator), np.diag(MATRIX))


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_the_solution_is_that_of_the_matrix(damping, vector):
    operator = LowRankPlusDiagonal(FACTOR, DIAGONAL, TREE)
    found = lx.linear_solve(operator, vector, Woodbury(), options={"damping": damping})
    expected = np.linalg.solve(MATRIX + damping * np.eye(7), flat(vector))
    np.testing.assert_allclose(flat(found.value), expected, rtol=1e-12)


def test_its_derivative_is_that_of_the_inverse():
    """d(M^-1 v) = -M^-1 dM M^-1 v, by Lineax's rule."""
    v, change = jnp.ones(7), jnp.asarray(RNG.normal(size=7))

    def solution(d):
        return lx.linear_solve(LowRankPlusDiagonal(FACTOR, d), v, Woodbury()).value

    _, found = jax.jvp(solution, (DIAGONAL,), (change,))
    inverse = np.linalg.inv(MATRIX)
    np.testing.assert_allclose(found, -inverse @ (change * (inverse @ v)), rtol=1e-11)


def test_bad_input():
    with pytest.raises(ValueError, match="`factor` has 7 rows, `diagonal` 6 numbers"):
        LowRankPlusDiagonal(FACTOR, DIAGONAL[:6])
    with pytest.raises(TypeError, match="`Woodbury` takes a `LowRankPlusDiagonal`"):
        lx.linear_solve(lx.MatrixLinearOperator(jnp.eye(2)), jnp.ones(2), Woodbury())
    singular = LowRankPlusDiagonal(FACTOR, DIAGONAL.at[0].set(-1.0))
    found = lx.linear_solve(singular, jnp.ones(7), Woodbury(), throw=False)
    assert found.result == lx.RESULTS.singular
