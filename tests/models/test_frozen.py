"""Frozen parts of a model, and the small convolution network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import _tree
from pinn_ngd.models import CNN, Frozen, freeze


def test_a_frozen_layer_computes_the_same_and_has_no_parameters(key):
    model = eqx.nn.MLP(3, 2, 4, 1, key=key)
    frozen = freeze(model, lambda m: [m.layers[0]])
    x = jnp.asarray([0.1, -0.2, 0.3])
    assert np.array_equal(frozen(x), model(x))
    assert (_tree.size(model), _tree.size(frozen)) == (26, 10)
    thawed = frozen.layers[0].thaw()
    assert np.array_equal(thawed.weight, model.layers[0].weight)
    assert isinstance(freeze(model, lambda m: m.layers[1]).layers[1], Frozen)


def test_gradients_flow_through_a_frozen_layer(key):
    model = freeze(eqx.nn.MLP(3, 2, 4, 1, key=key), lambda m: m.layers[1])
    x = jnp.asarray([0.1, -0.2, 0.3])
    gradient = eqx.filter_grad(lambda m: jnp.sum(m(x)))(model)
    assert float(jnp.max(jnp.abs(gradient.layers[0].weight))) > 0


def test_only_callable_parts_can_be_frozen(key):
    with pytest.raises(ValueError, match="which is no callable module"):
        freeze(eqx.nn.MLP(3, 2, 4, 1, key=key), lambda m: m.layers[0].weight)


def test_the_cnn_has_the_size_that_its_docstring_states(key):
    model = CNN((1, 28, 28), 10, key=key, dtype=jnp.float32)
    assert _tree.size(model) == 74_650
    assert model(jnp.zeros((1, 28, 28), jnp.float32)).shape == (10,)
    assert jax.tree.leaves(_tree.trainable(model)[0])[0].dtype == jnp.float32
    with pytest.raises(ValueError, match="both at least `kernel` = 5 pixels"):
        CNN((1, 4, 28), 10, key=key)
