"""Layers that solve by themselves: what solutions they have, and which they are."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import ByLayer, JacobianRows, LeastSquaresSystem, Spectral, solve
from pinn_ngd.linalg.by_layer import layer_sizes

RNG = np.random.default_rng(0)
LAYERS = {"first": {"bias": jnp.zeros(5), "weight": jnp.zeros((5, 3))}, "second": jnp.zeros(9)}


def system(rows, damping=0.0, gradient=False):
    matrix = jnp.asarray(RNG.standard_normal((rows, 29)))
    structure = jax.eval_shape(lambda: LAYERS)
    target = jnp.asarray(RNG.standard_normal(rows))
    operator = JacobianRows(matrix, structure, jax.eval_shape(lambda: target))
    if not gradient:
        return matrix, target, LeastSquaresSystem(operator, target, damping=damping)
    back = operator.T.mv(target)
    return matrix, target, LeastSquaresSystem(operator, gradient=back, damping=damping)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_layers_are_the_leaves_of_one_node():
    assert layer_sizes(jax.eval_shape(lambda: LAYERS)) == [20, 9]


def test_several_matrices_of_one_node_are_several_layers():
    node = {"a": jnp.zeros((2, 3)), "b": jnp.zeros(2), "c": jnp.zeros((4, 2)), "d": jnp.zeros(4)}
    assert layer_sizes(jax.eval_shape(lambda: node)) == [8, 12]
    vectors = {"a": jnp.zeros(2), "b": jnp.zeros((2, 3)), "c": jnp.zeros(())}
    assert layer_sizes(jax.eval_shape(lambda: vectors)) == [9]


@pytest.mark.parametrize("gradient", [False, True])
def test_every_layer_has_its_damped_minimum_norm_part(gradient):
    matrix, target, known = system(6, 0.1, gradient)
    blocks = np.split(np.asarray(matrix), [20], axis=1)
    wanted = [b.T @ np.linalg.solve(b @ b.T + 0.1 * np.eye(6), target) / 2 for b in blocks]
    np.testing.assert_allclose(flat(solve(known, ByLayer()).value), np.concatenate(wanted))


def test_a_solution_where_every_layer_has_full_row_rank():
    matrix, target, known = system(6)
    found = solve(known, ByLayer())
    np.testing.assert_allclose(matrix @ flat(found.value), target, rtol=1e-12)
    assert int(found.stats["rank"]) == 6
    short, _, tall = system(12)  # more rows than the second layer has parameters
    assert int(solve(tall, ByLayer()).stats["rank"]) == 9
    remaining = short @ flat(solve(tall, ByLayer()).value) - np.asarray(tall.target)
    assert np.linalg.norm(remaining) > 0.1


def test_one_layer_is_the_plain_solver_and_lineax_takes_it():
    matrix, target = jnp.asarray(RNG.standard_normal((4, 7))), jnp.arange(4.0)
    operator = lx.MatrixLinearOperator(matrix)
    found = lx.linear_solve(operator, target, ByLayer()).value
    wanted = lx.linear_solve(operator, target, Spectral()).value
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_derivatives_are_refused():
    operator = lx.MatrixLinearOperator(jnp.eye(3))
    with pytest.raises(NotImplementedError, match="no derivatives"):
        jax.grad(lambda b: jnp.sum(lx.linear_solve(operator, b, ByLayer()).value))(jnp.ones(3))
