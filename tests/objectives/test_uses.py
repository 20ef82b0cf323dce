"""Uses of weights in residuals: their outer products are the gradients, whatever wrote them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Residual, ResidualObjective, gradient, laplacian
from pinn_ngd.geometry import derivative
from pinn_ngd.models import MLP
from pinn_ngd.models.mlp import Linear
from pinn_ngd.objectives import layer_coverage, layerwise_system
from pinn_ngd.objectives.uses import lost_matrices, uses_at

D = 3
DOMAIN = Box((0.0,) * D, (1.0,) * D)
RNG = np.random.default_rng(1)
POINTS = RNG.uniform(size=(3, D))


def network(key, out=1, activation="tanh"):
    return MLP((D, 4, 3, out), key=key, domain=DOMAIN, activation=activation)


def _flux(u):
    return lambda x: (1 + u(x) ** 2) * gradient(u)(x)


def _neighbours(u, x):
    return jnp.mean(jax.vmap(u)(x + 0.1 * jnp.eye(D))) - u(x)


RESIDUALS = {
    "value": lambda u, x: u(x) ** 2 - x[0],
    "forward": lambda u, x: laplacian(u)(x) + u(x) * x[1],
    "hessian": lambda u, x: laplacian(u, "hessian")(x),
    "taylor": lambda u, x: laplacian(u, "jet")(x),
    "reverse": lambda u, x: jnp.sum(gradient(u)(x) ** 2) - 1,
    "reverse in forward": lambda u, x: jnp.trace(jax.jacfwd(_flux(u))(x)),
    "checkpointed": lambda u, x: jax.jvp(jax.checkpoint(lambda y: u(y)), (x,), (jnp.ones(D),))[1],
    "under vmap": _neighbours,
    "two equations": lambda u, x: {"a": laplacian(u)(x), "b": gradient(u)(x)},
}


@eqx.filter_jit
def both(objective, model, batch):
    """The rows of a layerwise system and those of one reverse sweep a point, and the targets."""
    layered, stored = layerwise_system(objective, model, batch), objective.system(model, batch)
    image = layered.operator.mv(eqx.filter(model, eqx.is_inexact_array))
    rows = layered.operator.as_matrix(), stored.operator.as_matrix()
    return *rows, layered.target, stored.target, image


def check(term, model):
    objective = ResidualObjective([term])
    batch = objective.batch()
    found, expected, target, block, image = both(objective, model, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.ravel(target[0]), np.ravel(block[0]), rtol=1e-12, atol=1e-12)
    flat = np.concatenate([np.ravel(x) for x in jax.tree.leaves(eqx.filter(model, eqx.is_array))])
    np.testing.assert_allclose(np.ravel(image[0]), expected @ flat, rtol=1e-10, atol=1e-10)
    return layer_coverage(objective, model, batch)


def _kinds():
    slow = ("hessian", "taylor", "reverse in forward")  # as the others, and more to compile
    return [pytest.param(k, marks=[pytest.mark.slow] * (k in slow)) for k in RESIDUALS]


@pytest.mark.parametrize("kind", _kinds())
def test_outer_products_of_uses_are_the_gradients_of_residuals(kind, key):
    report = check(Residual(RESIDUALS[kind], POINTS, 2.0), network(key))
    assert not report.diagonal


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sin", "gelu", "softplus"])
def test_other_activations_and_third_derivatives(activation, key):
    term = Residual(lambda u, x: derivative(u, 0, 0, 1)(x) + u(x), POINTS[:2])
    assert not check(term, network(key, activation=activation)).diagonal


@pytest.mark.parametrize("method", ["forward", "jet"])
def test_a_laplacian_has_the_uses_of_the_forward_laplacian(method, key):
    """Value, d first derivatives and the sum of the second ones, in layers within the network."""
    objective = ResidualObjective(
        [
            Residual(lambda u, x: laplacian(u, method)(x), POINTS, name="inside"),
            Residual(lambda u, x: u(x), POINTS, name="edge"),
        ]
    )
    report = layer_coverage(objective, network(key), objective.batch())
    notes = {p.parameter: p.note for p in report.parameters}
    assert notes[".layers[1].weight"] == f"{D + 2} uses in 'inside', 1 uses in 'edge'"
    assert {p.block for p in report.parameters} == {"kronecker"}


class Odd(eqx.Module):
    """A layer called as usual, one in a scan, one that is read, one of scalars, and an array."""

    plain: Linear
    looped: Linear
    read: Linear
    last: eqx.nn.Linear
    free: jax.Array

    def __call__(self, x):
        h = jnp.tanh(self.plain(x)) * self.read.weight[0, 0]
        h, _ = jax.lax.scan(lambda h, _: (jnp.tanh(self.looped(h)), None), h, length=2)
        return self.last(jnp.sum(h)) * self.free


def odd(key):
    keys = jax.random.split(key, 4)
    layers = [Linear(jax.random.normal(k, (D, D)), jnp.ones(D)) for k in keys[:3]]
    return Odd(*layers, eqx.nn.Linear("scalar", "scalar", key=keys[3]), jnp.asarray(0.7))


def test_what_is_no_product_is_stored_as_rows_and_named(key):
    term = Residual(lambda u, x: jax.jvp(u, (x,), (jnp.ones(D),))[1], POINTS)
    report = check(term, odd(key))
    assert [p.parameter for p in report.parameters if p.block == "kronecker"] == [
        ".plain.weight", ".plain.bias", ".last.weight", ".last.bias"
    ]  # fmt: skip
    why = {p.parameter: p.note for p in report.parameters}
    assert "scan" in why[".looped.weight"]
    assert "read directly" in why[".read.bias"]
    assert why[".free"] == "no dense layer"


def test_a_layer_that_a_term_does_not_use_has_no_uses_there(key):
    first, second = jax.random.split(key)
    pair = (network(first), network(second))
    objective = ResidualObjective([Residual(lambda u, x: u[0](x), POINTS)])
    report = layer_coverage(objective, pair, objective.batch())
    assert [p.note[:6] for p in report.parameters] == ["1 uses"] * 6 + ["0 uses"] * 6
    check(Residual(lambda u, x: u[0](x), POINTS), pair)


def test_uses_of_a_matrix_in_both_directions():
    """x W^T and W v count, at all positions of a batch; equal products count once."""
    w, x = (jnp.asarray(RNG.normal(size=s)) for s in ((3, 2), (4, 2)))
    v = jnp.asarray(RNG.normal(size=3))

    def fn(matrices, rest, x):
        (w,) = matrices
        forth, back = jnp.tanh(x @ w.T), jnp.sin(v @ w)
        return jnp.stack([rest * jnp.sum(forth) + jnp.sum(back), jnp.sum(jnp.cos(x @ w.T))])

    values, (found,), rows = jax.jit(lambda: uses_at(fn, [w], jnp.asarray(2.0), x))()
    assert found.inputs.shape == (2, 5, 2)
    assert found.cotangents.shape == (2, 5, 3)
    products = np.einsum("kso,ksi->koi", found.cotangents, found.inputs)
    np.testing.assert_allclose(products, jax.jacrev(lambda w: fn([w], 2.0, x))(w), rtol=1e-12)
    np.testing.assert_allclose(values, fn([w], 2.0, x), rtol=1e-14)
    np.testing.assert_allclose(rows, [jnp.sum(jnp.tanh(x @ w.T)), 0.0], rtol=1e-12)


def test_matrices_that_are_more_than_factors_are_lost():
    w = jnp.ones((2, 2))

    def fn(matrices, _, x):
        first, second, third = matrices
        return jnp.stack([(first @ x)[0] + jnp.sum(second), (third @ third)[0, 0]])

    assert lost_matrices(fn, [w, w, w], None, jnp.ones(2)) == {1, 2}


class Asking(eqx.Module):
    """A network that asks for the class and the sizes of its layers, with a norm between them."""

    layers: list

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, eqx.nn.Linear) and layer.out_features != 1:
                x = jnp.tanh(x)
        return x[0]


def asking(key, *, reads=False):
    first, second = jax.random.split(key)
    return Asking(
        [
            eqx.nn.Linear(D, 4, key=first),
            eqx.nn.LayerNorm(4, use_weight=not reads, use_bias=not reads),
            eqx.nn.Linear(4, 1, key=second),
        ]
    )


@pytest.mark.parametrize("reads", [False, True])
def test_norms_between_layers_and_questions_about_layers_change_nothing(reads, key):
    """The network is that which `evaluate` sees; norms get a diagonal, or have no parameters."""
    report = check(Residual(lambda u, x: u(x) - x[0], POINTS), asking(key, reads=reads))
    dense = [p.parameter for p in report.parameters if p.block == "kronecker"]
    assert len(dense) == 4
    assert len(report.diagonal) == (0 if reads else 2)


class Curious(eqx.Module):
    """Leaves a layer out that has no weight."""

    layer: eqx.nn.Linear

    def __call__(self, x):
        return jnp.sum(self.layer(x)) if hasattr(self.layer, "weight") else x[0]


def test_a_layer_that_is_asked_for_its_weight_is_stored_as_rows(key):
    term = Residual(lambda u, x: u(x) ** 2, POINTS)
    assert len(check(term, Curious(eqx.nn.Linear(D, 2, key=key))).diagonal) == 2


def test_constants_that_print_alike_are_different(key):
    small, large = np.float64(1.00000000001), np.float64(1.00000000002)

    def term(u, x):
        return u(x * np.asarray(small)) - u(x * np.asarray(large))

    rows, expected, target, block, _ = both(
        (objective := ResidualObjective([Residual(term, POINTS)])), network(key), objective.batch()
    )
    assert np.abs(expected).max() > 1e-13
    np.testing.assert_allclose(rows, expected, atol=1e-14)
    np.testing.assert_allclose(np.ravel(target[0]), np.ravel(block[0]), atol=1e-14)


def test_a_network_of_single_precision_at_points_of_double(key):
    model = MLP((D, 4, 1), key=key, domain=DOMAIN, dtype=jnp.float32)
    objective = ResidualObjective([Residual(lambda u, x: u(x) ** 2, POINTS)])
    with jax.numpy_dtype_promotion("standard"):
        system = layerwise_system(objective, model, objective.batch())
    assert system.operator.as_matrix().dtype == jnp.float32
    assert system.target[0].dtype == jnp.float32
