"""A = C^T J against its rows, for every kind of J."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import (
    LayerRows,
    LayerwiseJacobian,
    ProductOperator,
    WeightedJacobian,
    kernel_matrix,
)

EXAMPLES, OUTPUTS, DIRECTIONS, PARAMETERS = 4, 3, 2, 17


def _layerwise(key):
    inputs, cotangents = (
        jax.random.normal(key, (EXAMPLES, 1, 4)),
        jax.random.normal(key, (EXAMPLES, OUTPUTS, 1, 3)),
    )
    own = jax.random.normal(key, (EXAMPLES * OUTPUTS, 2))
    shapes = [(3, 4), (3,), (2,)]
    structure = [jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes]
    return LayerwiseJacobian(
        [LayerRows(inputs, cotangents, 0, 1)], [own], [2], (EXAMPLES, OUTPUTS), structure
    )


def _products(key):
    matrix = jax.random.normal(key, (EXAMPLES, OUTPUTS, PARAMETERS))
    structure = jax.ShapeDtypeStruct((PARAMETERS,), jnp.float64)
    return ProductOperator(
        lambda v: matrix @ v, lambda w: jnp.einsum("nop,no->p", matrix, w), structure
    )


@pytest.mark.parametrize("build", [_layerwise, _products])
def test_products_kernel_and_rows(build, key):
    jacobian, factor = build(key), jax.random.normal(key, (EXAMPLES, OUTPUTS, DIRECTIONS))
    operator = WeightedJacobian(jacobian, factor)
    dense = jacobian.as_matrix()
    whole = jax.scipy.linalg.block_diag(*factor)
    rows = whole.T @ dense
    np.testing.assert_allclose(operator.as_matrix(), rows, atol=1e-13)
    np.testing.assert_allclose(kernel_matrix(operator), rows @ rows.T, atol=1e-12)
    parts = [
        jax.random.normal(key, leaf.shape) for leaf in jax.tree.leaves(jacobian.in_structure())
    ]
    vector = jax.tree.unflatten(jax.tree.structure(jacobian.in_structure()), parts)
    image = operator.mv(vector)
    assert image.shape == operator.out_structure().shape == (EXAMPLES, DIRECTIONS)
    np.testing.assert_allclose(
        image.ravel(), rows @ jnp.concatenate([part.ravel() for part in parts]), atol=1e-12
    )
    back = jax.tree.leaves(operator.T.mv(image))
    np.testing.assert_allclose(
        jnp.concatenate([part.ravel() for part in back]), rows.T @ image.ravel(), atol=1e-11
    )
    curvature = jax.scipy.linalg.block_diag(*operator.curvature())
    np.testing.assert_allclose(dense.T @ curvature @ dense, rows.T @ rows, atol=1e-11)
