"""Networks: shapes, dtypes, activations, and the statistics of their initializations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry.domains import Box, Interval, SpaceTime
from pinn_ngd.models import MLP

# Random numbers compile anew for every shape: the tests share these sizes.
SMALL = (2, 4, 1)
WIDE = 4000
DOMAIN = Box((0, -3), (1, 5))


def test_shapes(key):
    scalar, vector = MLP((2, 4, 4, 1), key=key), MLP([2, 4, 3], key=key)
    x = jnp.asarray([0.3, 0.7])
    assert scalar(x).shape == ()
    assert vector(x).shape == (3,)
    assert [layer.weight.shape for layer in scalar.layers] == [(4, 2), (4, 4), (1, 4)]
    assert [layer.bias.shape for layer in scalar.layers] == [(4,), (4,), (1,)]


@pytest.mark.parametrize("init", ["ridge", "normal", "glorot"])
@pytest.mark.parametrize("dtype", [jnp.float32, None])
def test_dtype(dtype, init, key):
    model = MLP(SMALL, key=key, init=init, dtype=dtype)
    expected = jnp.dtype(jnp.float64 if dtype is None else dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {expected}
    assert model(jnp.zeros(2, expected)).dtype == expected


def test_call_is_the_formula(key):
    model = MLP(SMALL, key=key, activation="sin")
    x = np.asarray([0.3, 0.7])
    (w1, b1), (w2, b2) = ((np.asarray(m.weight), np.asarray(m.bias)) for m in model.layers)
    expected = (w2 @ np.sin(w1 @ x + b1) + b2)[0]
    np.testing.assert_allclose(model(jnp.asarray(x)), expected, rtol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "sin", "gelu", "softplus", jnp.arctan])
def test_activations_are_nonlinear_and_static(activation, key):
    model = MLP(SMALL, key=key, activation=activation)
    values = jax.vmap(model)(jnp.asarray([[0.0, 0.2], [0.5, 0.4], [1.0, 0.6]]))
    assert abs(values[0] - 2 * values[1] + values[2]) > 1e-4
    params, static = eqx.partition(model, eqx.is_inexact_array)
    assert len(jax.tree.leaves(params)) == 4
    assert jax.tree.leaves(static) == []


def test_ridge_statistics(key):
    first = MLP((2, WIDE, 1), key=key, domain=DOMAIN).layers[0]
    slopes = np.asarray(first.weight) * np.asarray(DOMAIN.extents)
    # A sample deviation of 4000 normals is off by about one percent.
    np.testing.assert_allclose(slopes.std(axis=0), 2.0, rtol=0.05)
    np.testing.assert_allclose(slopes.mean(axis=0), 0.0, atol=0.15)
    scaled = MLP((2, WIDE, 1), key=key, domain=DOMAIN, scale=6.0).layers[0]
    np.testing.assert_allclose(scaled.weight, 3.0 * np.asarray(first.weight), rtol=1e-13)


@pytest.mark.parametrize(
    "domain",
    [Interval(2, 5), DOMAIN, SpaceTime(Interval(0, 0.2), Interval(-3, -1))],
    ids=["1d", "2d", "heat"],
)
def test_every_ridge_meets_the_domain(domain, key):
    first = MLP((domain.dimension, WIDE, 1), key=key, domain=domain).layers[0]
    weight, bias = np.asarray(first.weight), np.asarray(first.bias)
    lower, upper = np.asarray(domain.lower), np.asarray(domain.upper)
    # The range of W x + b over a box is attained corner by corner: it must contain zero.
    smallest = np.where(weight > 0, weight * lower, weight * upper).sum(axis=1) + bias
    largest = np.where(weight > 0, weight * upper, weight * lower).sum(axis=1) + bias
    assert np.all(smallest <= 1e-12)
    assert np.all(largest >= -1e-12)


def test_ridge_centers_are_spread_uniformly_in_one_dimension(key):
    first = MLP((1, WIDE, 1), key=key, domain=Interval(2, 5)).layers[0]
    centers = -np.asarray(first.bias) / np.asarray(first.weight)[:, 0]
    assert np.all((centers > 2 - 1e-9) & (centers < 5 + 1e-9))
    counts, _ = np.histogram(centers, bins=10, range=(2, 5))
    np.testing.assert_allclose(counts, WIDE / 10, rtol=0.2)


def test_ridge_is_invariant_under_scaling_of_the_domain(key):
    unit = MLP(SMALL, key=key)
    stretched = MLP(SMALL, key=key, domain=DOMAIN)
    x = jnp.asarray([0.2, 0.9])
    y = jnp.asarray(DOMAIN.lower) + x * jnp.asarray(DOMAIN.extents)
    np.testing.assert_allclose(stretched(y), unit(x), rtol=1e-12)


def test_coordinates_far_from_one_are_normalized(key):
    hour = SpaceTime(Interval(0.0, 3600.0), Interval(0.0, 0.05))
    model, unit = MLP(SMALL, key=key, domain=hour), MLP(SMALL, key=key)
    assert eqx.tree_equal(model.layers, unit.layers)  # so that training is the same as well
    np.testing.assert_allclose(model(jnp.asarray([900.0, 0.01])), unit(jnp.asarray([0.25, 0.2])))
    assert MLP(SMALL, key=key, domain=DOMAIN).inputs is None


def test_later_ridge_layers_have_variance_one_over_fan_in(key):
    last = MLP((2, WIDE, 1), key=key).layers[1]
    assert np.std(last.weight) == pytest.approx(WIDE**-0.5, rel=0.05)
    assert not np.any(last.bias)


@pytest.mark.parametrize(("scale", "deviation"), [(None, 0.1), (0.5, 0.5)])
def test_normal_statistics(scale, deviation, key):
    layers = MLP((2, WIDE, 1), key=key, init="normal", scale=scale).layers
    for values in (layers[0].weight, layers[0].bias, layers[1].weight):
        assert np.std(values) == pytest.approx(deviation, rel=0.05)
    assert layers[1].bias[0] != 0
    assert abs(np.corrcoef(layers[0].weight[:, 0], layers[0].bias)[0, 1]) < 0.1


def test_glorot_statistics(key):
    layers = MLP((2, WIDE, 1), key=key, init="glorot").layers
    assert np.std(layers[0].weight) == pytest.approx((2 / (WIDE + 2)) ** 0.5, rel=0.05)
    assert np.std(layers[1].weight) == pytest.approx((2 / (WIDE + 1)) ** 0.5, rel=0.05)
    assert not any(np.any(layer.bias) for layer in layers)


def test_keys_make_different_layers(key):
    layers = MLP((4, 4, 4), key=key, init="glorot").layers
    assert not np.allclose(layers[0].weight, layers[1].weight)
    other = MLP((4, 4, 4), key=jax.random.key(1), init="glorot")
    assert not np.allclose(layers[0].weight, other.layers[0].weight)


def test_network_without_hidden_layer_is_affine(key):
    model = MLP((2, 1), key=key)
    x = jnp.asarray([0.2, 0.9])
    np.testing.assert_allclose(model(x) + model(-x), 2 * model(0 * x), rtol=1e-13)


@pytest.mark.parametrize(
    ("sizes", "settings", "match"),
    [
        ((2,), {}, "`sizes` = .*at least two"),
        ((2, 0, 1), {}, "`sizes` = .*positive"),
        ((2, 3, 1), {"init": "he"}, "`init` is 'he'.*ridge, normal, glorot"),
        ((2, 3, 1), {"activation": "relu"}, "`activation` is 'relu'.*tanh, sin, gelu, softplus"),
        ((3, 3, 1), {"domain": DOMAIN}, "`domain` has dimension 2, but `sizes` starts with 3"),
    ],
)
def test_errors_name_the_cause_and_the_cure(sizes, settings, match, key):
    with pytest.raises(ValueError, match=match):
        MLP(sizes, key=key, **settings)
