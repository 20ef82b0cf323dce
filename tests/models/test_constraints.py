"""Hard Dirichlet conditions hold exactly, and leave the interior free."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import GaussLegendre, disk
from pinn_ngd.geometry import smooth_distance
from pinn_ngd.geometry.calculus import laplacian
from pinn_ngd.geometry.domains import Box
from pinn_ngd.geometry.quadrature import Equispaced
from pinn_ngd.models import MLP, HardDirichlet

SQUARE = Box((0, 0), (1, 1))


def lift(x):
    return jnp.sin(3.0 * x[0]) + x[1] ** 2


def distance(x):
    return jnp.prod(x * (1.0 - x))


def test_boundary_values_are_exact_for_any_parameters(key):
    points = Equispaced(SQUARE.boundary(), 7, ends="left").quadrature().points
    for scale in (1.0, 1e3):
        model = HardDirichlet(MLP((2, 4, 1), key=key, init="glorot", scale=scale), lift, distance)
        np.testing.assert_array_equal(jax.vmap(model)(points), jax.vmap(lift)(points))


def test_the_lift_may_be_a_number_and_the_distance_made_for_the_domain(key):
    model = HardDirichlet(MLP((2, 4, 1), key=key), 1.5, smooth_distance(disk()))
    on = GaussLegendre(disk().boundary(), 3).quadrature().points
    np.testing.assert_allclose(jax.vmap(model)(on), 1.5, rtol=1e-13)
    assert len({hash(smooth_distance(disk())), hash(model.distance)}) == 1  # compiles once


def test_interior_value_and_laplacian(key):
    net = MLP((2, 4, 1), key=key)
    model = HardDirichlet(net, lift, distance)
    x = jnp.asarray([0.3, 0.6])
    np.testing.assert_allclose(model(x), lift(x) + distance(x) * net(x), rtol=1e-14)

    def product_rule(x):
        product = laplacian(distance)(x) * net(x) + distance(x) * laplacian(net)(x)
        mixed = 2.0 * jnp.dot(jax.grad(distance)(x), jax.grad(net)(x))
        return laplacian(lift)(x) + product + mixed

    found, expected = jax.jit(lambda x: (laplacian(model)(x), product_rule(x)))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_only_the_net_is_trained_and_the_model_passes_through_jit(key):
    net = MLP((2, 4, 1), key=key)
    model = HardDirichlet(net, lift, distance)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    assert len(jax.tree.leaves(params)) == len(jax.tree.leaves(net))
    assert jax.tree.leaves(static) == []
    x = jnp.asarray([0.3, 0.6])
    np.testing.assert_allclose(jax.jit(lambda m: m(x))(model), model(x), rtol=1e-14)


def test_vector_valued_net(key):
    model = HardDirichlet(MLP((2, 4, 3), key=key), lambda x: jnp.zeros(3, x.dtype), distance)
    assert model(jnp.asarray([0.3, 0.6])).shape == (3,)
    np.testing.assert_array_equal(model(jnp.asarray([0.0, 0.6])), np.zeros(3))
