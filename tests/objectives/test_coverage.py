"""Which parameters get Kronecker blocks, and where those are the dense blocks of the curvature."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.linalg import kronecker_blocks, prepare
from pinn_ngd.linalg.kronecker_solver import KroneckerFactored
from pinn_ngd.linalg.system import LeastSquaresSystem
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated, coverage
from tests.objectives.test_classification import ConvNet, Tokens

SQUARED = ClassificationObjective(Generated(lambda _: None), loss="squared")
RNG = np.random.default_rng(0)


class Chain(eqx.Module):
    """Linear layers one after the other, and what is made of the last output."""

    layers: tuple
    end: str = eqx.field(static=True, default="all")

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return jnp.mean(x, axis=-1) if self.end == "mean" else x


@eqx.filter_jit
def blocks(model, inputs, targets, sharing="expand"):
    """The curvature and its Kronecker blocks as matrices, and where the latter are not zero."""
    operator = SQUARED.system(model, Batch(inputs, targets)).operator
    rows, found = operator.as_matrix(), kronecker_blocks(operator, sharing)
    return rows.T @ rows, found.as_matrix(), found.transpose().as_matrix()


def check_exact(model, inputs, sharing="expand"):
    """All blocks are those of the dense curvature."""
    out = eqx.filter_eval_shape(model, inputs[0]).size
    targets = jnp.asarray(RNG.normal(size=(len(inputs), out)))
    dense, found, transposed = map(np.asarray, blocks(model, inputs, targets, sharing))
    inside = np.zeros(dense.shape, bool)
    sizes = [leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))]
    ends = np.cumsum([0, *sizes])
    for start, stop in zip(ends[:-1:2], ends[2::2], strict=True):  # weight and bias alternate
        inside[start:stop, start:stop] = True
    np.testing.assert_allclose(found[inside], dense[inside], rtol=1e-11, atol=1e-12)
    assert not found[~inside].any()
    np.testing.assert_allclose(transposed, found.T, atol=1e-14)


def test_blocks_of_a_deep_linear_network_are_exact(key):
    keys = jax.random.split(key, 3)
    sizes = ((4, 3), (3, 5), (5, 2))
    chain = Chain([eqx.nn.Linear(i, o, key=k) for (i, o), k in zip(sizes, keys, strict=True)])
    check_exact(chain, jnp.asarray(RNG.normal(size=(7, 4))))


@pytest.mark.parametrize(("end", "sharing"), [("all", "expand"), ("mean", "reduce")])
def test_shared_weights_are_exact_in_their_cases(end, sharing, key):
    first, second = jax.random.split(key)
    layers = eqx.nn.Conv1d(3, 4, 1, key=first), eqx.nn.Conv1d(4, 2, 1, key=second)
    check_exact(Chain(layers, end), jnp.asarray(RNG.normal(size=(6, 3, 5))), sharing)


def test_a_convolution_at_one_position_is_a_dense_layer(key):
    convolution = eqx.nn.Conv2d(2, 3, (2, 3), key=key)
    inputs = jnp.asarray(RNG.normal(size=(6, 2, 2, 3)))
    check_exact(Chain([convolution]), inputs)
    dense = eqx.nn.Linear(12, 3, key=key)
    dense = eqx.tree_at(lambda m: m.weight, dense, convolution.weight.reshape(3, 12))
    targets = jnp.zeros((6, 3))
    _, of_convolution, _ = blocks(Chain([convolution]), inputs, targets)
    _, of_dense, _ = blocks(Chain([dense]), inputs.reshape(6, 12), targets)
    np.testing.assert_allclose(of_convolution, of_dense, rtol=1e-12, atol=1e-13)


class Sigmoidal(eqx.Module):
    """A dense network with tanh, or with the logistic function for kind 2, in every hidden unit."""

    layers: tuple
    kind: jax.Array  # a whole number, so that it is not trained

    def __call__(self, x):
        for layer in self.layers[:-1]:
            kind = self.kind.astype(x.dtype)
            x = jnp.tanh(layer(x) / kind) / kind + (kind - 1) / 2
        return self.layers[-1](x)


def as_logistic(net):
    """The same function: tanh(s) = 2 logistic(2 s) - 1."""

    def layer(old, first, last):
        weight, bias = old.weight, old.bias
        if not first:
            weight, bias = 2 * weight, bias - weight.sum(axis=1)
        scale = 1.0 if last else 2.0
        return eqx.tree_at(lambda m: (m.weight, m.bias), old, (scale * weight, scale * bias))

    count = len(net.layers)
    layers = [layer(old, i == 0, i == count - 1) for i, old in enumerate(net.layers)]
    return Sigmoidal(tuple(layers), jnp.asarray(2, jnp.int32))


def test_undamped_kfac_sees_neither_affine_inputs_nor_the_kind_of_sigmoid(key):
    keys = jax.random.split(key, 3)
    sizes = ((3, 5), (5, 4), (4, 2))
    layers = tuple(eqx.nn.Linear(i, o, key=k) for (i, o), k in zip(sizes, keys, strict=True))
    net = Sigmoidal(layers, jnp.asarray(1, jnp.int32))
    inputs, targets = (jnp.asarray(RNG.normal(size=(20, k))) for k in (3, 2))
    m, b = RNG.normal(size=(3, 3)) + 2 * np.eye(3), RNG.normal(size=3)

    @eqx.filter_jit
    def step(model, inputs):
        batch = Batch(inputs, targets)
        system = SQUARED.system(model, batch)
        undamped = LeastSquaresSystem(system.operator, system.target)
        direction = prepare(undamped, KroneckerFactored("exact")).solve().value
        updates = jax.tree.map(lambda d: -0.05 * d, direction)
        return eqx.apply_updates(model, updates), SQUARED.loss(model, batch)

    def losses(model, inputs, steps=8):
        found = []
        for _ in range(steps):
            model, loss = step(model, inputs)
            found.append(float(loss))
        return found

    first = net.layers[0]
    weight = first.weight @ np.linalg.inv(m)
    moved = eqx.tree_at(
        lambda n: (n.layers[0].weight, n.layers[0].bias), net, (weight, first.bias - weight @ b)
    )
    expected = losses(net, inputs)
    assert expected[-1] < 0.9 * expected[0]  # they do go somewhere
    np.testing.assert_allclose(losses(moved, inputs @ m.T + b), expected, rtol=1e-8)
    np.testing.assert_allclose(losses(as_logistic(net), inputs), expected, rtol=1e-8)


def test_the_report_lists_every_parameter_with_its_block(key):
    report = coverage(ConvNet(key), jnp.zeros((2, 6, 6)))
    kinds = [(p.parameter, p.block, p.note) for p in report.parameters]
    assert kinds[:4] == [
        (".conv.weight", "kronecker", "4 positions"),
        (".conv.bias", "kronecker", "4 positions"),
        (".norm.weight", "unit-wise", "2 x 2 for each of 12 units"),
        (".norm.bias", "unit-wise", "2 x 2 for each of 12 units"),
    ]
    assert report.diagonal == ()
    assert str(report).splitlines()[0].split() == [
        ".conv.weight", "(3,", "2,", "3,", "3)", "kronecker", "4", "positions"
    ]  # fmt: skip
    assert len(str(report).splitlines()) == len(report.parameters) == 7


def test_a_layer_that_is_called_twice_or_in_a_vmap_is_captured_and_one_that_is_tied_is_not(key):
    report = coverage(Tokens(key), jnp.zeros((5, 3)))
    notes = {p.parameter: (p.block, p.note) for p in report.parameters}
    assert notes[".twice.weight"] == ("kronecker", "2 positions in 2 calls")
    assert notes[".inner.weight"] == ("kronecker", "5 positions")
    assert notes[".last.bias"] == ("kronecker", "1 position")
    assert notes[".tied.weight"][0] == "diagonal"
    assert "its weight is used directly" in notes[".tied.weight"][1]
