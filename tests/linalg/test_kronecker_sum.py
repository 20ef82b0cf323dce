"""Sums of Kronecker products and their damped solutions, against dense matrices."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import Blockwise, Kronecker, KroneckerSum
from pinn_ngd.linalg.kronecker_sum import merged
from tests.linalg.test_kronecker import linear_solve, normal, semidefinite

DAMPING = 0.2
VECTOR = normal(3, 4, seed=5)


def product(seed, rank=6):
    """Factors (3, 3) and (4, 4), singular where the rank is small."""
    g, a = normal(3, rank, seed=seed), normal(4, rank, seed=seed + 1)
    return Kronecker(g @ g.T, a @ a.T)


def damped(p, terms):
    """The factored damping of one of the terms, as a dense matrix."""
    g, a = np.asarray(p.left), np.asarray(p.right)
    pi = np.sqrt(np.trace(a) / 4 / (np.trace(g) / 3)) if np.trace(g) * np.trace(a) else 1.0
    root = np.sqrt(DAMPING / terms)
    return np.kron(g + root / pi * np.eye(3), a + root * pi * np.eye(4))


def solved(products, damping=DAMPING, method="factored"):
    operator = KroneckerSum(products)
    return linear_solve(operator, VECTOR, Blockwise(method), jnp.asarray(damping))


def test_the_matrix_is_the_sum_of_those_of_the_products():
    operator = KroneckerSum([product(0), product(7, 2)])
    expected = np.kron(*_factors(product(0))) + np.kron(*_factors(product(7, 2)))
    np.testing.assert_allclose(operator.as_matrix(), expected, rtol=1e-12)
    np.testing.assert_allclose(np.ravel(operator.mv(VECTOR)), expected @ VECTOR.ravel(), rtol=1e-12)
    np.testing.assert_allclose(operator.T.as_matrix(), expected, rtol=1e-12)
    assert lx.is_positive_semidefinite(operator)


def _factors(p):
    return np.asarray(p.left), np.asarray(p.right)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_factored_damping_is_shared_by_the_terms_and_solved_exactly(count):
    """Two products directly, more by conjugate gradients; the second has singular factors."""
    products = [product(9 * seed, 2 if seed == 1 else 6) for seed in range(count)]
    dense = sum(damped(p, count) for p in products)
    found = solved(products)
    expected = np.linalg.solve(dense, VECTOR.ravel())
    np.testing.assert_allclose(np.ravel(found.value), expected, rtol=1e-8, atol=1e-10)
    if count <= 2:
        np.testing.assert_allclose(np.ravel(found.value), expected, rtol=1e-10)
    assert found.result == lx.RESULTS.successful


@pytest.mark.parametrize("count", [1, 2])
def test_exact_damping_adds_the_identity(count):
    products = [product(9 * seed, 2) for seed in range(count)]
    dense = sum(np.asarray(p.as_matrix()) for p in products) + DAMPING * np.eye(12)
    found = solved(products, method="exact").value
    expected = np.linalg.solve(dense, VECTOR.ravel())
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-8)


def test_one_product_is_solved_as_a_product():
    one = solved([product(0)]).value
    other = linear_solve(product(0), VECTOR, Blockwise(), jnp.asarray(DAMPING)).value
    np.testing.assert_allclose(one, other, rtol=1e-11)


def test_a_constant_may_wander_between_the_factors_of_a_term():
    first, second = product(0), product(9)
    moved = Kronecker(second.left * 1e5, second.right / 1e5)
    found, expected = solved([first, moved]).value, solved([first, second]).value
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_term_that_is_zero_leaves_its_share_of_the_damping():
    nothing = Kronecker(jnp.zeros((3, 3)), jnp.zeros((4, 4)))
    dense = damped(product(0), 2) + DAMPING / 2 * np.eye(12)
    found = solved([product(0), nothing]).value
    np.testing.assert_allclose(np.ravel(found), np.linalg.solve(dense, VECTOR.ravel()), rtol=1e-10)


def test_what_is_not_finite_is_reported():
    broken = Kronecker(jnp.full((3, 3), jnp.nan), semidefinite(4, 4))
    assert solved([product(0), broken]).result == lx.RESULTS.nonfinite_input


def test_one_product_stands_for_proportional_ones():
    """Exactly where the right factors are the same; in general with the trace of the sum."""
    first, second = product(0), product(9)
    same = Kronecker(second.left, first.right)
    expected = KroneckerSum([first, same]).as_matrix()
    np.testing.assert_allclose(merged([first, same]).as_matrix(), expected, rtol=1e-12)
    found = merged([first, second])
    nothing = Kronecker(jnp.zeros((3, 3)), second.right)
    np.testing.assert_allclose(merged([first, nothing]).as_matrix(), first.as_matrix(), rtol=1e-12)
    assert np.isfinite(np.asarray(found.as_matrix())).all()
    assert np.isfinite(np.asarray(merged([nothing, nothing]).right)).all()


def test_products_of_one_size_are_needed():
    with pytest.raises(ValueError, match="needs at least one product, and all of one size"):
        KroneckerSum([])
    with pytest.raises(ValueError, match=r"sizes \[\(2, 4\), \(3, 4\)\]"):
        KroneckerSum([product(0), Kronecker(semidefinite(2, 1), semidefinite(4, 2))])


def test_it_is_a_block_like_any_other():
    assert eqx.tree_equal(KroneckerSum([product(0)]).T, KroneckerSum([product(0)]))


def test_one_singular_product_with_exact_damping():
    """The identity is whitened, not the product, whose rounding errors would count as much."""
    g, a = normal(3, 2, seed=0), normal(4, 2, seed=1)
    one = Kronecker(g @ g.T, a @ a.T)
    dense = np.kron(*_factors(one)) + 1e-2 * np.eye(12)
    expected = np.linalg.solve(dense, VECTOR.ravel())
    found = solved([one], 1e-2, "exact").value
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-10)


def test_three_products_in_single_precision_converge():
    single = [
        Kronecker(p.left.astype(jnp.float32), p.right.astype(jnp.float32))
        for p in (product(0), product(7), product(14))
    ]
    operator, vector = KroneckerSum(single), VECTOR.astype(jnp.float32)
    found = linear_solve(operator, vector, Blockwise("factored"), jnp.float32(DAMPING)).value
    dense = sum(damped(p, 3) for p in (product(0), product(7), product(14)))
    np.testing.assert_allclose(np.ravel(found), np.linalg.solve(dense, VECTOR.ravel()), rtol=1e-3)
