"""Gram matrices by the BLAS of SciPy, called from compiled programs."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import QLP, LeastSquaresSystem, host_gram, prepare, tall

MATRIX = np.random.default_rng(0).normal(size=(23, 7))
CPU = pytest.mark.skipif(jax.default_backend() != "cpu", reason="only there it is called")


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(host_gram, "WORTH", 0)


@CPU
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(23, 7), (7, 23), (1, 5), (5, 1)])
def test_it_is_the_product(dtype, axis, shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(dtype)
    product = np.asarray(jax.jit(host_gram.host_gram, static_argnums=1)(matrix, axis))
    expected = matrix.T @ matrix if axis else matrix @ matrix.T
    assert product.dtype == dtype
    np.testing.assert_array_equal(product, product.T)
    np.testing.assert_allclose(product, expected, rtol=0, atol=100 * np.finfo(dtype).eps)


@CPU
@pytest.mark.parametrize("axis", [0, 1])
def test_its_derivatives_are_those_of_the_product(axis):
    def by_jax(matrix):
        return matrix.T @ matrix if axis else matrix @ matrix.T

    change = np.random.default_rng(1).normal(size=MATRIX.shape)
    given = jnp.asarray(MATRIX), jnp.asarray(change)
    pairs = [jax.jvp(fn, given[:1], given[1:]) for fn in (by_jax, _by_host(axis))]
    for expected, found in zip(*pairs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    by_both = [
        jax.grad(lambda a, f=f: jnp.sum(f(a) ** 3))(given[0]) for f in (by_jax, _by_host(axis))
    ]
    np.testing.assert_allclose(*by_both, rtol=1e-12)


def _by_host(axis):
    return lambda matrix: host_gram.host_gram(matrix, axis)


@CPU
def test_it_works_for_each_of_a_batch_and_in_branches_and_loops():
    batch = jnp.asarray(np.stack([MATRIX, 2 * MATRIX]))
    every = jax.jit(jax.vmap(_by_host(1)))(batch)
    np.testing.assert_allclose(every[1], 4 * MATRIX.T @ MATRIX, atol=1e-12)

    @jax.jit
    def summed(count):
        def body(i, total):
            more = lambda: host_gram.host_gram(batch[0], 1)  # noqa: E731
            return total + jax.lax.cond(i % 2 == 0, more, lambda: jnp.zeros((7, 7)))

        return jax.lax.fori_loop(0, count, body, jnp.zeros((7, 7)))

    np.testing.assert_allclose(summed(5), 3 * MATRIX.T @ MATRIX, atol=1e-12)


@CPU
def test_only_large_real_matrices_are_worth_a_call(monkeypatch):
    monkeypatch.setattr(host_gram, "WORTH", MATRIX.size * 7)
    real = jnp.asarray(MATRIX)
    assert host_gram.is_worth_a_call(real, 1)
    assert host_gram.is_worth_a_call(real, 0)
    assert not host_gram.is_worth_a_call(real[:-1], 1)
    assert not host_gram.is_worth_a_call(real.astype(complex), 1)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(jax, "default_backend", lambda: "gpu")
        assert not host_gram.is_worth_a_call(real, 1)
    monkeypatch.setattr(host_gram, "buffer_callback", None)
    assert not host_gram.is_worth_a_call(real, 1)


@CPU
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("of_rows", [False, True])
def test_gram_matrices_take_it(of_rows):
    program = jax.make_jaxpr(lambda a: tall.gram_matrix(a, of_rows=of_rows))(MATRIX)
    assert "buffer_callback" in str(program)


@CPU
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("shape", [(23, 7), (7, 23)])
def test_a_damped_solution_is_the_same(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    target, damping = np.ones(shape[0]), 1e-3
    expected = np.linalg.solve(matrix.T @ matrix + damping * np.eye(shape[1]), matrix.T @ target)
    system = LeastSquaresSystem(lx.MatrixLinearOperator(jnp.asarray(matrix)), jnp.asarray(target))
    prepared = prepare(system, QLP(), smallest_damping=damping)
    np.testing.assert_allclose(prepared.at(damping).solve().value, expected, rtol=1e-10)
