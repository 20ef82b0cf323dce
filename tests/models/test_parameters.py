"""What of a model is trained, and what is said of the rest."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.models import MLP, freeze
from pinn_ngd.models.parameters import check_parameters, fixed_numbers, path_of


class Inverse(eqx.Module):
    """A field with an unknown coefficient of any kind."""

    a: jax.Array
    k: object

    def __call__(self, x):
        return self.a * x[0]


def inverse(k):
    return Inverse(jnp.asarray(1.0), k)


def apply(w, x):
    return w * x[0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: x[0], "`model` is a function without .* `model\\(jax.random.key\\(0\\)\\)`"),
        (functools.partial(apply, jnp.ones(())), "write `equinox.Partial"),
        (Inverse(jnp.asarray(1), 2.0), "make its parameters floating-point arrays"),
        ({}, "`model` is a dict without"),
        (inverse(jnp.asarray(1j)), r"`model\.k` is complex128, but parameters are real"),
        (inverse([jnp.ones(2), jnp.ones(2) * jnp.nan]), r"`model\.k\[1\]` holds a number that is"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(model)


@pytest.mark.parametrize(
    "model", [inverse(2.0), jnp.ones(2), [np.ones(2)], MLP((1, 2), key=jax.random.key(0))]
)
def test_models_with_arrays_pass(model):
    check_parameters(model)


def test_fixed_numbers_are_found_by_path():
    model = {"a": inverse(2.0), "b": inverse(jnp.arange(3)), "c": inverse(True)}
    found = [path_of(path) for path, _ in fixed_numbers(model)]
    assert found == ["model['a'].k", "model['b'].k"]


def test_frozen_modules_and_settings_of_layers_are_no_coefficients():
    network = MLP((1, 3, 1), key=jax.random.key(0))
    frozen = freeze(network, lambda m: m.layers[0])
    parts = [frozen, eqx.nn.Dropout(0.5), eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))]
    assert not list(fixed_numbers([*parts, eqx.nn.LayerNorm(3), eqx.nn.PReLU()]))
