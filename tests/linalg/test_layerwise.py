"""Layer blocks against their own stored rows, whichever way the Gram matrix takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import (
    Cholesky,
    LayerRows,
    LayerwiseJacobian,
    LeastSquaresSystem,
    Normal,
    dual_gram,
    solve,
)
from pinn_ngd.linalg.kronecker_factors import with_ones

# (n, k, s, o, i): dense; many positions and few weights; few positions and many weights
SHAPES = [(4, 3, 1, 5, 6), (3, 4, 20, 2, 3), (6, 4, 2, 3, 30)]


def block(shape, key, bias=True):
    n, k, s, o, i = shape
    first, second = jax.random.split(key)
    inputs = jax.random.normal(first, (n, s, i))
    cotangents = jax.random.normal(second, (n, k, s, o))
    layer = LayerRows(inputs, cotangents, 0, 1 if bias else None)
    leaves = [jax.ShapeDtypeStruct((o, i), jnp.float64), jax.ShapeDtypeStruct((o,), jnp.float64)]
    return LayerwiseJacobian([layer], [], [], (n, k), leaves if bias else leaves[:1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_products_and_kernel_are_those_of_the_rows(shape, bias, key):
    operator = block(shape, key, bias)
    rows = operator.as_matrix()
    np.testing.assert_allclose(operator.kernel_matrix(), rows @ rows.T, rtol=1e-12, atol=1e-12)
    structure = operator.in_structure()
    vector = [jax.random.normal(key, leaf.shape) for leaf in structure]
    flat = jnp.concatenate([leaf.ravel() for leaf in vector])
    image = operator.mv(vector)
    np.testing.assert_allclose(image.ravel(), rows @ flat, atol=1e-12)
    back = jnp.concatenate([leaf.ravel() for leaf in operator.T.mv(image)])
    np.testing.assert_allclose(back, rows.T @ image.ravel(), rtol=1e-12, atol=1e-11)


def test_both_ways_to_the_kernel_are_tried(key):
    cheap = [block(shape, key).layers[0]._rows_are_cheaper() for shape in SHAPES]
    assert cheap == [False, True, False]


def test_a_dual_solve_never_asks_for_the_rows(key, monkeypatch):
    operator = block(SHAPES[0], key)
    rows, target = operator.as_matrix(), jax.random.normal(key, (4, 3))
    expected = rows.T @ jnp.linalg.solve(rows @ rows.T + 0.1 * jnp.eye(12), target.ravel())

    def refuse(operator):
        raise AssertionError(operator)

    monkeypatch.setattr(LayerwiseJacobian, "as_matrix", refuse)
    system = LeastSquaresSystem(operator, target, damping=0.1)
    found = solve(system, Normal(Cholesky()), form="dual").value
    np.testing.assert_allclose(jnp.concatenate([x.ravel() for x in found]), expected, atol=1e-12)
    assert dual_gram(operator, 0.1).as_matrix().shape == (12, 12)


def test_every_leaf_needs_one_block(key):
    layer = block(SHAPES[0], key).layers[0]
    leaves = [jax.ShapeDtypeStruct((5, 6), jnp.float64)] * 3
    with pytest.raises(ValueError, match="every leaf needs exactly one block"):
        LayerwiseJacobian([layer], [], [], (4, 3), leaves)


def test_a_bias_is_multiplied_by_the_unit_of_every_position(key):
    """0 where a position carries a derivative; rows with a last input in its place are the same."""
    plain = block(SHAPES[1], key).layers[0]
    unit = jax.random.bernoulli(key, 0.3, plain.inputs.shape[:2]).astype(float)
    leaves = [jax.ShapeDtypeStruct((2, 3), jnp.float64), jax.ShapeDtypeStruct((2,), jnp.float64)]
    layer = LayerRows(plain.inputs, plain.cotangents, 0, 1, unit)
    operator = LayerwiseJacobian([layer], [], [], (3, 4), leaves)
    rows, joined = operator.as_matrix(), with_ones(layer)
    width = [jax.ShapeDtypeStruct((2, 4), jnp.float64)]
    other = LayerwiseJacobian([joined], [], [], (3, 4), width).as_matrix().reshape(12, 2, 4)
    np.testing.assert_allclose(rows[:, :6].reshape(12, 2, 3), other[..., :3], rtol=1e-13)
    np.testing.assert_allclose(rows[:, 6:], other[..., 3], rtol=1e-13)
    np.testing.assert_allclose(operator.kernel_matrix(), rows @ rows.T, rtol=1e-12, atol=1e-12)
    vector = [jax.random.normal(key, leaf.shape) for leaf in leaves]
    image = operator.mv(vector)
    flat = jnp.concatenate([leaf.ravel() for leaf in vector])
    np.testing.assert_allclose(image.ravel(), rows @ flat, atol=1e-12)
    back = jnp.concatenate([leaf.ravel() for leaf in operator.T.mv(image)])
    np.testing.assert_allclose(back, rows.T @ image.ravel(), rtol=1e-12, atol=1e-11)
    few = jnp.tile(plain.inputs[:, :2], 9), plain.cotangents[:, :, :2]
    width = [jax.ShapeDtypeStruct((2, 27), jnp.float64), leaves[1]]
    wide = LayerwiseJacobian([LayerRows(*few, 0, 1, unit[:, :2])], [], [], (3, 4), width)
    # Here the product of two Gram matrices is the cheaper way.
    assert not wide.layers[0]._rows_are_cheaper()
    rows = wide.as_matrix()
    np.testing.assert_allclose(wide.kernel_matrix(), rows @ rows.T, rtol=1e-12, atol=1e-12)
