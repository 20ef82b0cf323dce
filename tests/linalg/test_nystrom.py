"""Nystrom approximations: their formula, their bounds, and what is made of them."""

import functools

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    JacobianRows,
    LeastSquaresSystem,
    NystromDual,
    NystromPreconditioner,
    Truncated,
    nystrom,
    solve,
)

N = 24
KEY = jax.random.key(3)


def matrix_of(values, seed=0):
    """A symmetric matrix with these eigenvalues."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(N, N)))[0]
    return (basis * values) @ basis.T


def decaying(rate=0.5):
    return matrix_of(rate ** np.arange(N))


def operator_of(matrix):
    """Known by its products, as that of a PyTree."""
    structure = {"a": jax.ShapeDtypeStruct((4, 3), float), "b": jax.ShapeDtypeStruct((12,), float)}

    def product(tree):
        flat = matrix @ jnp.concatenate([tree["a"].ravel(), tree["b"]])
        return {"a": flat[:12].reshape(4, 3), "b": flat[12:]}

    return lx.FunctionLinearOperator(product, structure, lx.positive_semidefinite_tag)


@functools.partial(jax.jit, static_argnums=1)
def approximated(matrix, rank):
    return nystrom(operator_of(matrix), rank, KEY)


@pytest.mark.parametrize("rank", [1, 7, 23])
def test_it_is_the_formula(rank):
    matrix = decaying(0.8)
    test = np.asarray(jax.random.normal(KEY, (N, rank)))
    image = matrix @ test
    expected = image @ np.linalg.solve(test.T @ image, image.T)
    np.testing.assert_allclose(approximated(matrix, rank).as_matrix(), expected, atol=1e-10)


@pytest.mark.parametrize("rank", [8, 16, N, N + 5])
def test_it_is_exact_where_the_rank_suffices(rank):
    values = np.where(np.arange(N) < 8, 3.0 ** -np.arange(N), 0.0)
    matrix = matrix_of(values)
    np.testing.assert_allclose(approximated(matrix, rank).as_matrix(), matrix, atol=1e-13)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("rank", [2, 12, N])
def test_it_is_never_above_the_matrix(rank, rate):
    found = approximated(decaying(rate), rank)
    eigenvalues = np.linalg.eigvalsh(decaying(rate) - found.as_matrix())
    assert eigenvalues.min() > -1e-14
    assert np.linalg.eigvalsh(found.as_matrix()).min() > -1e-14


def test_the_shift_passes_what_it_sees_of_negative_eigenvalues():
    values = np.where(np.arange(N) < 5, 10.0 - np.arange(N), -0.5)
    found = approximated(matrix_of(values), 12)
    assert bool(jnp.all(jnp.isfinite(found.factor)))
    assert 1e-3 < found.shift < 4 * 0.5
    kept, _ = found.eigenpairs()
    assert np.all(kept >= 0)
    np.testing.assert_allclose(kept[:5], values[:5], rtol=0.2)


def test_eigenpairs_are_those_of_the_approximation():
    found = approximated(decaying(), 9)
    values, vectors = found.eigenpairs()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(9), atol=1e-13)
    np.testing.assert_allclose((vectors * values) @ vectors.T, found.as_matrix(), atol=1e-13)
    assert np.all(np.diff(values) < 0)


@pytest.mark.parametrize("rank", [3, N])
def test_the_inverse_and_the_preconditioner_are_their_formulas(rank):
    damping, found = jnp.asarray(0.1), approximated(decaying(), rank)
    whole = found.as_matrix() + 0.1 * np.eye(N)
    inverse = found.inverse(damping).as_matrix()
    np.testing.assert_allclose(inverse, np.linalg.inv(whole), atol=1e-12)
    values, vectors = found.eigenpairs()
    preconditioner = NystromPreconditioner(values, vectors, damping, frozen_in=found.frozen_in)
    inside = (vectors / (values + 0.1)) @ vectors.T * (values[-1] + 0.1)
    expected = inside + np.eye(N) - vectors @ vectors.T
    np.testing.assert_allclose(preconditioner.as_matrix(), expected, atol=1e-12)
    tree = operator_of(decaying()).in_structure()
    ones = jax.tree.map(lambda x: jnp.ones(x.shape), tree)
    assert jax.tree.structure(preconditioner.mv(ones)) == jax.tree.structure(tree)
    assert lx.is_positive_semidefinite(preconditioner)


def test_preconditioned_iterations_do_not_depend_on_the_condition():
    """Frangella, Tropp and Udell: the rank has to be twice the effective dimension, and some."""
    matrix, damping = decaying(0.4), 1e-6
    target = jnp.asarray(np.random.default_rng(1).normal(size=N))
    structure = jax.ShapeDtypeStruct((N,), float)
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix + damping * np.eye(N)))
    found = nystrom(lx.MatrixLinearOperator(jnp.asarray(matrix)), 20, KEY)
    assert found.in_structure() == structure
    made = NystromPreconditioner(
        *found.eigenpairs(), jnp.asarray(damping), frozen_in=found.frozen_in
    )
    plain = Truncated(most=100, tolerance=1e-10)(operator, target)
    fast = Truncated(most=100, tolerance=1e-10)(operator, target, preconditioner=made)
    assert fast.steps <= 7
    assert plain.steps >= 20
    np.testing.assert_allclose(matrix @ fast.value + damping * fast.value, target, atol=1e-8)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
@pytest.mark.parametrize("given", ["target", "gradient"])
def test_a_system_with_the_kernel_replaced(shape, given):
    rows = np.random.default_rng(2).normal(size=shape)
    b, damping, rank = np.arange(1.0, shape[0] + 1), 0.05, 4
    structures = (jax.ShapeDtypeStruct((n,), float) for n in shape[::-1])
    operator = JacobianRows(jnp.asarray(rows), *structures)
    side = rows @ rows.T if given == "target" else rows.T @ rows
    kernel = nystrom(lx.MatrixLinearOperator(jnp.asarray(side)), rank, KEY).as_matrix()
    inverse, gradient = np.linalg.inv(kernel + damping * np.eye(len(side))), rows.T @ b
    expected = rows.T @ inverse @ b if given == "target" else inverse @ gradient
    asked = {"target": {"target": jnp.asarray(b)}, "gradient": {"gradient": jnp.asarray(gradient)}}
    system = LeastSquaresSystem(operator, damping=damping, **asked[given])
    found = solve(system, NystromDual(rank), options={"key": KEY})
    np.testing.assert_allclose(found.value, expected, rtol=1e-9, atol=1e-9)
    assert found.result == lx.RESULTS.successful
    assert found.stats["products"] == rank
    assert gradient @ found.value > 0


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="`rank` is 0; an approximation needs"):
        nystrom(operator_of(decaying()), 0, KEY)
    with pytest.raises(ValueError, match="`rank` is 0"):
        NystromDual(0)
    operator = JacobianRows(jnp.ones((2, 3)), jnp.ones(3), jnp.ones(2))
    with pytest.raises(ValueError, match="`damping` is 0, and `NystromDual` needs a positive"):
        solve(LeastSquaresSystem(operator, jnp.ones(2)), NystromDual(2))
