"""Residuals that ask for the normal, or for what was measured, at their points."""

# ruff: noqa: ARG005  (a table of functions of one signature)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    GaussLegendre,
    Interval,
    Points,
    Residual,
    ResidualObjective,
    disk,
    normal_derivative,
)
from pinn_ngd.geometry import Cells
from pinn_ngd.models import MLP
from pinn_ngd.validation.chunks import chunks

SQUARE = Box((0.0, 0.0), (1.0, 2.0))


def u(x):
    return x[0] ** 2 + 3 * x[1]


def flux(u, x, normal):
    return normal_derivative(u)(x, normal)


def values(*terms):
    objective = ResidualObjective(list(terms))
    return objective.residuals(u, objective.batch(None))


def test_the_normal_of_a_boundary_comes_with_its_points():
    (block,) = values(Residual(flux, GaussLegendre(SQUARE.boundary(), 2)))
    np.testing.assert_allclose(jnp.sum(block**2), 4 * 2 + 9 + 9)  # (2 x)^2 at x = 1, and 3^2 twice
    (block,) = values(Residual(flux, GaussLegendre(disk().boundary(), 12)))
    # integral over the circle of (2 cos^2 + 3 sin)^2
    np.testing.assert_allclose(jnp.sum(block**2), 4 * 3 / 4 * np.pi + 9 * np.pi)


def test_measured_values_come_with_their_points():
    x = np.asarray([[0.0, 1.0], [2.0, 0.0]])
    rule = Points(x, [1.0, 4.0], values=[1.0, 2.0], normals=[[0, 2], [3, 0]])
    (block,) = values(Residual(lambda u, x, value: u(x) - value, rule))
    np.testing.assert_allclose(block, [2.0, 4.0])
    (block,) = values(Residual(lambda u, x, normal, value: flux(u, x, normal) * value, rule))
    np.testing.assert_allclose(block, [3.0, 16.0])
    (block,) = values(Residual(lambda u, x, value: value, Points(x, values=np.eye(2))))
    assert block.shape == (2, 2)


def test_values_are_data_of_a_compiled_step():
    x = np.linspace(0, 1, 5)
    term = Residual(lambda u, x, value: u(x) - value, Points(x, values=x**2))
    objective = ResidualObjective([term])
    loss = jax.jit(lambda batch: objective.evaluate(lambda x: x[0] ** 2, batch).loss)
    (batch,) = objective.batch(None)
    assert float(loss((batch,))) == 0.0
    other = Points(x, values=x**2 + 1.0).quadrature()
    assert float(loss((other,))) == pytest.approx(0.5)
    assert loss._cache_size() == 1


def test_rows_of_a_residual_with_a_normal_are_its_derivatives():
    objective = ResidualObjective([Residual(flux, GaussLegendre(disk().boundary(), 2))])
    model = MLP((2, 3, 1), key=jax.random.key(0))
    batch = objective.batch(None)
    objective.check(model, batch)
    dense, free = (objective.system(model, batch, matrix_free=m).operator for m in (False, True))
    v = jax.tree.map(jnp.ones_like, jax.eval_shape(lambda: dense.in_structure()))
    np.testing.assert_allclose(jax.tree.leaves(dense.mv(v)), jax.tree.leaves(free.mv(v)))


def test_chunks_and_cells_keep_normals_and_values():
    rule = Points(np.arange(3.0), normals=np.ones(3)[:, None], values=np.arange(3.0))
    first, last = chunks((rule.quadrature(),), 2)
    np.testing.assert_array_equal(last[0].weights, [1 / 3, 0.0])
    np.testing.assert_array_equal(last[0].values, [2.0, 0.0])
    np.testing.assert_array_equal(first[0].normals, [[1.0], [1.0]])
    both = Cells((rule, rule)).quadrature()
    assert both.values.shape == (6,)
    assert Cells((rule, GaussLegendre(Interval(0, 1), 2))).quadrature().values is None


X = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: values(Residual(flux, GaussLegendre(SQUARE, 2))), "asks for the `normal`.*bound"),
        (lambda: values(Residual(flux, Points(X))), "normals=..."),
        (lambda: values(Residual(lambda u, x, value: value, Points(X))), "values=..."),
        (lambda: Residual(lambda u, x, n: n, Points(X)), "may ask by name for `normal`"),
        (lambda: Points(X, normals=np.ones(2)), "one vector of real numbers a point"),
        (lambda: Points(X, normals=X), "no direction at the point"),
        (lambda: Points(X, values=np.ones(3)), "for each of the 2 points"),
        (lambda: Points(X, values=[np.nan, 1.0]), "not finite"),
        (lambda: Points(X, values=["a", "b"]), "give one number"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()
