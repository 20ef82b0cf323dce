"""Deep Ritz energies: value, gradient, metric, and reductions below rounding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import Energy, EnergyObjective, GaussLegendre, Interval, _tree
from pinn_ngd.models import MLP

system_of = eqx.filter_jit(lambda target, u, batch: target.system(u, batch))
INTERVAL = Interval(-1.0, 1.0)


def quartic(x, features):
    value, slope = features
    return slope**2 / 2 + value**4 / 4 - jnp.cos(jnp.pi * x[0]) * value


def objective(points=9, density=quartic):
    return EnergyObjective([Energy(density, GaussLegendre(INTERVAL, points))])


def model():
    return MLP((1, 4, 1), key=jax.random.key(1), domain=INTERVAL)


def test_energy_of_a_polynomial_in_closed_form():
    """u = x on (-1, 1): int 1/2 + x^4/4 dx = 1 + 1/10 (the source term is odd)."""
    value = objective(8).loss(lambda x: x[0], objective(8).batch())
    assert float(value) == pytest.approx(1.1, rel=1e-12)


def test_gram_matrix_is_the_energy_hessian_of_a_linear_model():
    """For u = sum c_k x^k the Hessian in c is exactly A^T A."""

    class Polynomial(eqx.Module):
        c: jax.Array

        def __call__(self, x):
            return jnp.polyval(self.c, x[0])

    u = Polynomial(jnp.asarray([0.3, -0.2, 0.7]))
    batch = objective().batch()
    a = system_of(objective(), u, batch).operator.as_matrix()
    hessian = jax.hessian(lambda c: objective().loss(Polynomial(c), batch))(u.c)
    np.testing.assert_allclose(a.T @ a, hessian, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
def test_gram_matrix_of_the_paper():
    """int dtheta u' dtheta u'^T + int 3 u^2 dtheta u dtheta u^T (Mueller and Zeinhofer)."""
    u = model()
    (rule,) = objective().batch()
    params, static = eqx.partition(u, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(params)

    def value(q, x):
        return eqx.combine(unravel(q), static)(x)

    def slope(q, x):
        return jax.grad(lambda y: value(q, y))(x)[0]

    du = jax.vmap(jax.grad(value), (None, 0))(theta, rule.points)
    ds = jax.vmap(jax.grad(slope), (None, 0))(theta, rule.points)
    size = jax.vmap(u)(rule.points)
    expected = ds.T @ (rule.weights[:, None] * ds)
    expected += du.T @ ((3 * rule.weights * size**2)[:, None] * du)
    a = system_of(objective(), u, (rule,)).operator.as_matrix()
    np.testing.assert_allclose(a.T @ a, expected, rtol=1e-10, atol=1e-12)


def test_gradient_is_the_derivative_of_the_energy():
    u = model()
    batch = objective().batch()
    gradient = system_of(objective(), u, batch).gradient
    direction = jax.tree.map(jnp.ones_like, gradient)
    h = 1e-5
    up, down = _tree.move(u, _tree.scale(-h, direction)), _tree.move(u, _tree.scale(h, direction))
    slope = (objective().loss(up, batch) - objective().loss(down, batch)) / (2 * h)
    assert float(_tree.dot(gradient, direction)) == pytest.approx(float(slope), rel=1e-7)


def test_reduction_is_accurate_below_the_rounding_of_the_energy():
    """A step of size h from the minimizer of a quadratic changes E by h^2: far below eps |E|."""

    class Constant(eqx.Module):
        c: jax.Array

        def __call__(self, x):
            return self.c + 0 * x[0]

    target = objective(4, lambda x, f: (f[0] - 1.0) ** 2 / 2 - 100.0 + 0 * x[0])
    batch, h = target.batch(), 1e-10
    step = Constant(jnp.asarray(h))
    before = target.evaluate(Constant(jnp.asarray(1.0 + h)), batch)
    after = target.evaluate(Constant(jnp.asarray(1.0)), batch)
    assert float(target.reduction(before, after, step)) == pytest.approx(h**2, rel=1e-3)
    assert float(target.reduction(after, before, _tree.scale(-1.0, step))) < 0


@pytest.mark.slow
def test_concave_directions_are_dropped_from_the_metric():
    a = objective(3, lambda _, f: -(f[0] ** 2) + f[1] ** 2 / 2).system(
        model(), objective(3).batch()
    )
    assert np.all(np.isfinite(a.operator.as_matrix()))


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match="`terms` is empty"):
        EnergyObjective([])
    with pytest.raises(NotImplementedError, match="form='primal'"):
        objective().system(model(), objective().batch(), matrix_free=True)
