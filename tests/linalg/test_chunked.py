import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd.linalg import ChunkedJacobian, LeastSquaresSystem, get_solver, solve

N = 10


def _residuals(q, batch):
    x, weights = batch
    values = jnp.tanh(x @ q["kernel"].T + q["bias"])
    return {"value": weights[:, None] * values, "product": values[:, 0] * values[:, 1]}


@pytest.fixture(scope="module")
def problem():
    params = {"kernel": jnp.asarray([[1.0, -2.0], [0.5, 0.3]]), "bias": jnp.asarray([0.1, -0.2])}
    points = jnp.linspace(0.0, 1.0, 2 * N).reshape(N, 2), jnp.linspace(0.5, 1.0, N)
    return _residuals, params, points


@pytest.fixture(scope="module")
def rows(problem):
    """The whole Jacobian at once: the oracle."""
    fn, params, points = problem
    flat, unravel = ravel_pytree(params)
    return jax.jit(jax.jacfwd(lambda q: ravel_pytree(fn(unravel(q), points))[0]))(flat)


@eqx.filter_jit
def _products(operator, x):
    y = operator.mv(x)
    return operator.as_matrix(), y, operator.transpose().mv(y)


@pytest.mark.parametrize("chunk_size", [1, 3, 5, N, 64])
def test_equals_the_dense_rows(chunk_size, problem, rows):
    fn, params, points = problem
    operator = ChunkedJacobian(fn, params, points, chunk_size)
    assert (operator.out_size(), operator.in_size()) == rows.shape
    matrix, y, back = _products(operator, params)
    np.testing.assert_allclose(matrix, rows, atol=1e-13)
    y, x, back = (ravel_pytree(tree)[0] for tree in (y, params, back))
    np.testing.assert_allclose(y, rows @ x, atol=1e-13)
    np.testing.assert_allclose(back, rows.T @ y, atol=1e-13)
    np.testing.assert_allclose(y @ y, back @ x, rtol=1e-12)


def test_parameters_of_an_equinox_model():
    model = eqx.nn.MLP(2, "scalar", 3, 1, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    points = jnp.ones((5, 2))
    operator = ChunkedJacobian(lambda q, x: jax.vmap(eqx.combine(q, static))(x), params, points, 2)
    matrix, y, back = _products(operator, params)
    assert jax.tree.structure(back) == jax.tree.structure(params)
    np.testing.assert_allclose(y, matrix @ ravel_pytree(params)[0], atol=1e-13)


def test_memory_is_that_of_one_chunk(problem):
    """No intermediate array is larger than the points and residuals themselves."""
    fn, params, _ = problem
    operator = ChunkedJacobian(fn, params, (jnp.ones((1000, 2)), jnp.ones(1000)), 10)
    vector = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), operator.out_structure())
    for product, argument in ((operator.mv, params), (operator.T.mv, vector)):
        compiled = jax.jit(lambda x, product=product: product(x)).lower(argument).compile()
        memory = compiled.memory_analysis()
        # 12 parameters and residuals a point would make 1000 x 12 numbers in one sweep.
        assert memory is None or memory.temp_size_in_bytes < 8 * 1000 * 8


def test_last_chunk_is_filled_with_valid_points():
    """A singular function at zero must not see padded zeros."""
    operator = ChunkedJacobian(lambda q, x: q * jnp.log(x[:, 0]), jnp.ones(()), jnp.ones((3, 1)), 2)
    _, y, back = _products(operator, jnp.ones(()))
    assert jnp.isfinite(y).all()
    assert jnp.isfinite(back)


def test_closed_over_tracers_and_solvers(problem, rows):
    fn, params, points = problem
    target = {"value": jnp.ones((N, 2)), "product": jnp.ones(N)}

    @eqx.filter_jit
    def run(factor, params, points, name, form):
        def scaled(q, x):
            return jax.tree.map(lambda r: factor * r, fn(q, x))

        operator = ChunkedJacobian(scaled, params, points, 4)
        system = LeastSquaresSystem(operator, target, damping=1e-3)
        return solve(system, get_solver(name), form=form)

    flat = ravel_pytree(target)[0]
    rows, flat = np.asarray(rows), np.asarray(flat)
    gram = 4 * rows.T @ rows + 1e-3 * np.eye(rows.shape[1])
    expected = np.linalg.solve(gram, 2 * rows.T @ flat)
    for name, form in (("cg", "matrix-free"), ("spectral", "auto")):
        solution = run(jnp.asarray(2.0), params, points, name, form)
        assert solution.result == lx.RESULTS.successful
        assert jax.tree.structure(solution.value) == jax.tree.structure(params)
        np.testing.assert_allclose(ravel_pytree(solution.value)[0], expected, atol=1e-7)


def test_bad_chunk_size(problem):
    with pytest.raises(ValueError, match="`chunk_size` is 0"):
        ChunkedJacobian(*problem, 0)
